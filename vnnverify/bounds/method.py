# SPDX-License-Identifier: Apache-2.0
"""What a bounding method is: given a graph, regions and a specification it returns sound lower bounds.

    margin_s(x) = C_s graph(x) − d_s  >=  lower_s        for all x in the region

A method is a value: it can be named, combined with others, compared and handed on. What it returns says what
it rests on: the intermediate bounds, where each of them comes from, and the slopes and multipliers that prove
it (`Record`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from vnnverify.bounds.specification import Specification
from vnnverify.deadline import Deadline
from vnnverify.domains.planes import Planes
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Graph, Node, Value
from vnnverify.query import Region

__all__ = ["BoundMethod", "Bounds", "LinearFunction", "Record", "Resources", "ValueBounds"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a method may spend."""

    deadline: Deadline = field(default_factory=Deadline.never)
    memory: int = 256 << 20  # bytes that the rows of one backward pass may take


@dataclass(frozen=True, slots=True, eq=False)
class LinearFunction:
    """A x + c, a lower bound of each margin on the region. The bound follows from its least value there."""

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
    parents: tuple[Bounds, ...] = ()  # the bounds that these were refined from, or are an intersection of


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What a method found. Never changed: refining makes new bounds that know their parents."""

    lower: Tensor  # (B, S) of the margins, valid as computed; minus infinity where nothing is known
    linear: LinearFunction | None  # the function of the input that proves it, where there is one
    values: Mapping[Value, ValueBounds]  # intermediate bounds that it rests on
    record: Record


class BoundMethod(ABC):
    """A way of bounding networks. Subclasses are frozen values with a `name`.

    Attributes:
        name: what it is called in records and on the command line.
        differentiable: whether bounds can be differentiated with respect to inputs and parameters.
    """

    name: str
    differentiable: ClassVar[bool] = False

    @abstractmethod
    def bound(
        self,
        graph: Graph,
        region: Region,
        spec: Specification,
        known: Bounds | None = None,
        resources: Resources | None = None,
    ) -> Bounds:
        """Sound lower bounds of all margins of `spec`.

        Args:
            graph: any graph; its float type is that of the computation.
            region: B of them, ends (B, n) in the graph's float type or rounded outward to it here.
            spec: rows C (B, S, m) and offsets d (B, S).
            known: earlier bounds over regions that hold these ones. Their intermediate bounds are used.
            resources: limits of time and memory; None: the defaults.

        Raises:
            UnsupportedOperator: an operator cannot be bounded by this method.
            OutOfTime: the deadline came before there was a bound.
        """
