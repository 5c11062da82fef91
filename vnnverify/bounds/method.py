# SPDX-License-Identifier: Apache-2.0
"""What a bounding method is: given a graph, regions and a specification it returns sound lower bounds.

    margin_s(x) = C_s graph(x) − d_s  >=  lower_s        for all x in the region

A method is a value: it can be named, combined with others, compared and handed on. What it returns says what
it rests on: the intermediate bounds, where each of them comes from, and the slopes and multipliers that prove
it (`Record`).

Bounds are rounded outward, unless rounding is plain (`Resources.rounding`): then no error terms are added, as
suits training, and the bounds say that they are not sound. Gradients with respect to regions and parameters
are exact under both, or refused: what rounding adds counts as constant.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from vnnverify.bounds.relaxation import JointRows
from vnnverify.bounds.specification import Specification
from vnnverify.deadline import Deadline
from vnnverify.domains.planes import Planes
from vnnverify.domains.relaxation import Lines
from vnnverify.errors import BackendError
from vnnverify.ir import Graph, Node, Value
from vnnverify.numerics import Rounding, direct_convolutions, rounded_outward, rounding
from vnnverify.query import Region

__all__ = ["BoundMethod", "Bounds", "LinearFunction", "Record", "Resources", "ValueBounds"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a method may spend, and what it does about rounding errors."""

    deadline: Deadline = field(default_factory=Deadline.never)
    memory: int = 256 << 20  # bytes that the rows of one backward pass may take
    rounding: Rounding = "sound"  # or "plain": no error terms, bounds that prove nothing


@dataclass(frozen=True, slots=True, eq=False)
class LinearFunction:
    """A x + c, a lower bound of each margin on the region, whose least value there is the bound itself: a
    search clips boxes by it. A constant (A = 0) where no other function attains the bound."""

    A: Tensor  # (B, S, n)
    c: Tensor  # (B, S) what roundings cost is subtracted already


@dataclass(frozen=True, slots=True, eq=False)
class ValueBounds:
    """Bounds of one value of the graph, and the method they come from."""

    lower: Tensor  # (B, *shape) rounded down
    upper: Tensor  # (B, *shape) rounded up
    origin: str  # the name of the method; of an intersection, those that took part


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What bounds rest on: enough to compute them again without the program that found them.

    A row of the specification goes back through the nodes: where its coefficient is positive it takes the
    line or plane below, else the one above, less `multipliers` times what is known of the value to be
    nonnegative; what arrives at the inputs is least somewhere in the region.
    """

    method: str
    relaxations: Mapping[Node, Lines | Planes] = field(
        default_factory=dict
    )  # (B, *shape) or (R, *shape) each
    multipliers: Mapping[Node, Tensor] = field(default_factory=dict)  # (R, *shape)
    joint: Mapping[Node, JointRows] = field(default_factory=dict)  # any multiple >= 0 may be added
    parents: tuple[Bounds, ...] = ()  # the bounds that these were refined from, or are an intersection of


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What a method found. Never changed: refining makes new bounds that know their parents.

    Bounds made where rounding is plain are not sound, nor are those with parents that are not.
    """

    lower: Tensor  # (B, S) of the margins, valid as computed; minus infinity where nothing is known
    linear: LinearFunction | None  # the function of the input that proves it, where there is one
    values: Mapping[Value, ValueBounds]  # intermediate bounds that it rests on
    record: Record
    sound: bool = field(default_factory=rounded_outward)  # whether they prove anything

    def __post_init__(self) -> None:
        if not all(parent.sound for parent in self.record.parents):
            object.__setattr__(self, "sound", False)

    def open_polytopes(self, spec: Specification) -> Tensor:
        """Polytopes (B, P) that the bounds do not exclude; bounds that are not sound exclude none."""
        return spec.open_polytopes(self.lower) if self.sound else spec.real


class BoundMethod(ABC):
    """A way of bounding networks. Subclasses are frozen values with a `name`, and say how in `compute`.

    Attributes:
        name: what it is called in records and on the command line.
        differentiable: whether bounds can be differentiated with respect to inputs and parameters.
    """

    name: str
    differentiable: ClassVar[bool] = False

    @final
    def bound(
        self,
        graph: Graph,
        region: Region,
        spec: Specification,
        known: Bounds | None = None,
        resources: Resources | None = None,
    ) -> Bounds:
        """Lower bounds of all margins of `spec`: sound ones, unless `resources` ask for plain rounding.

        Args:
            graph: any graph; its float type is that of the computation.
            region: B of them, ends (B, n) in the graph's float type or rounded outward to it here.
            spec: rows C (B, S, m) and offsets d (B, S).
            known: earlier bounds over regions that hold these ones. Their intermediate bounds are used.
            resources: limits of time and memory, and the rounding policy; None: the defaults.

        Raises:
            UnsupportedOperator: an operator cannot be bounded by this method.
            OutOfTime: the deadline came before there was a bound.
            BackendError: gradients are asked for, and this method has none.
        """
        resources = resources or Resources()
        if not self.differentiable and torch.is_grad_enabled():
            self._refuse_gradients(graph, region, spec, known)
        grad = torch.is_grad_enabled() and self.differentiable
        plain = nullcontext() if resources.rounding == "plain" else direct_convolutions()
        with plain, rounding(resources.rounding), torch.set_grad_enabled(grad):
            return self.compute(graph, region, spec, known, resources)

    @abstractmethod
    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        """What `bound` describes, under the rounding policy asked for.

        Gradients are on only if the caller has them on and the method says that it is differentiable: then
        they must reach all that is given.
        """

    def _refuse_gradients(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None
    ) -> None:
        tensors = {
            "the region's lower": region.lower,
            "the region's upper": region.upper,
            **graph.parameters(),
        }
        tensors |= _tensors("the region's ", region) | _tensors("spec.", spec)
        if known is not None:
            tensors["known.lower"] = known.lower
        name = next((name for name, tensor in tensors.items() if tensor.requires_grad), None)
        if name is not None:
            raise BackendError(
                f"method {self.name!r} has no gradients, and {name} requires one: use a differentiable "
                "method, such as crown, or call it under torch.no_grad()"
            )


def _tensors(prefix: str, holder: Any) -> dict[str, Tensor]:
    """The tensors that a dataclass holds, by name; none of anything else."""
    if not dataclasses.is_dataclass(holder):
        return {}
    values = ((f.name, getattr(holder, f.name)) for f in dataclasses.fields(holder))
    return {prefix + name: value for name, value in values if isinstance(value, Tensor)}
