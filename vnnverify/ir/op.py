# SPDX-License-Identifier: Apache-2.0
"""What an operator states about itself: concrete semantics and one trait, nothing about any domain.

Tensors carry one leading batch axis in front of the exact ONNX shape of the value: a value of ONNX
shape (1, 3, 32, 32) is computed as (batch, 1, 3, 32, 32). So a network never needs to know which
of its own axes, if any, was meant as a batch.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

if TYPE_CHECKING:  # the parts of an operator are a graph of operators: the two types refer to each other
    from vnnverify.ir.graph import Graph

__all__ = ["Affine", "Bilinear", "Composite", "Elementwise", "Enclosed", "Maximum", "Op", "Shape", "flat"]

Shape = tuple[int, ...]


def flat(x: Tensor) -> Tensor:
    """(batch, *shape) -> (batch, size), for scalars too."""
    return x[..., None].flatten(1)


@dataclass(frozen=True, slots=True, eq=False)
class Op(ABC):
    """A pure function of one or more tensors, with its parameters as frozen fields."""

    @abstractmethod
    def __call__(self, *inputs: Tensor) -> Tensor:
        """The operator's value; each input is (batch, *shape), so is the result."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """The same operator with its floating-point parameters on `device` as `dtype`."""
        changed = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                kind = dtype if value.is_floating_point() else value.dtype
                changed[field.name] = value.to(device=device, dtype=kind)
        return dataclasses.replace(self, **changed) if changed else self

    def parameters(self) -> dict[str, Tensor]:
        """The operator's floating-point tensors by the field that holds them, no copies."""
        values = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: v for name, v in values if isinstance(v, Tensor) and v.is_floating_point()}

    def output_shape(self, *shapes: Shape) -> Shape:
        """ONNX shape of the result for inputs of the given ONNX shapes; found by running once."""
        with torch.no_grad():
            return tuple(self(*(torch.zeros(1, *shape, dtype=torch.float64) for shape in shapes)).shape[1:])

    def decompose(self, *shapes: Shape) -> Graph | None:
        """The operator as a graph of simpler ones, or None if it is not made of parts."""
        return None

    @property
    def kind(self) -> str:
        """The operator's name in messages and tables."""
        return type(self).__name__


@dataclass(frozen=True, slots=True, eq=False)
class Affine(Op):
    """z = Σ_i W_i x_i + b with constant W_i and b."""

    @abstractmethod
    def linear(self, *inputs: Tensor) -> Tensor:
        """Σ_i W_i x_i, without b: (batch, *in_i) -> (batch, *out)."""

    @property
    def offset(self) -> Tensor | None:
        """b, broadcastable to the ONNX shape of the output (no batch axis); None for zero."""
        return None

    def __call__(self, *inputs: Tensor) -> Tensor:
        z = self.linear(*inputs)
        b = self.offset
        return z if b is None else z + b

    @abstractmethod
    def magnitude(self, *inputs: Tensor) -> Tensor:
        """Σ_i |W_i| x_i: the same map with absolute weights, without b."""

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """W_i^T applied to rows (rows, *out), one result (rows, *in_i) per input of ONNX shape `shapes[i]`.

        The default differentiates `linear`; operators on the hot path state it in closed form.
        """
        sources = (rows, *self.parameters().values())
        traced = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in sources)
        with torch.enable_grad():
            points = [rows.new_zeros(rows.shape[0], *shape, requires_grad=True) for shape in shapes]
            value = self.linear(*points)
            grads = torch.autograd.grad(value, points, rows, create_graph=traced)
        return tuple(grads)

    @property
    def increasing(self) -> Tensor | bool:
        """Which outputs grow with every input, as all of their weights are >= 0: broadcastable to the ONNX
        shape of the output. False where it is not known."""
        return False

    @property
    def fan_in(self) -> int:
        """Products summed per output element: sets the rounding error of `linear`. 0 if it only copies."""
        return 0

    @property
    def fan_out(self) -> int:
        """Products summed per element of an adjoint row: sets the rounding error of `adjoint`."""
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Elementwise(Op):
    """y = f(x), the same scalar function for every element.

    A domain needs one thing to enclose f soundly: where f(x) − s·x can turn. Lines of any slope,
    ranges (slope zero) and zonotope bands (secant slope) then follow; see `domains.relaxation`.
    """

    @abstractmethod
    def derivative(self, x: Tensor) -> Tensor:
        """f'(x); at a kink, any value between the one-sided derivatives."""

    @abstractmethod
    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Candidates for the extremes of f(x) − slope·x inside [lower, upper], elementwise.

        The smallest and the largest value over the interval must be taken at its ends or at one of
        them, up to rounding; points outside the interval and NaN are allowed, callers ignore them.
        At a jump of f there are candidates on both sides; at a pole, one where f is NaN.
        """

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Good slopes for a line below and a line above f on [lower, upper]; a heuristic, soundness
        does not depend on it. The default is the secant for both."""
        width = upper - lower
        secant = (self(upper) - self(lower)) / torch.where(width > 0, width, torch.ones_like(width))
        flat = torch.where(width > 0, secant, self.derivative(lower))
        return flat, flat

    @property
    def kinks(self) -> tuple[float, ...] | None:
        """Break points if f is piecewise linear and continuous, else None. Search and MILP split there."""
        return None

    @property
    def image(self) -> tuple[float, float]:
        """Numbers between which f lies everywhere; known without rounding, they cut what bounds overshoot."""
        return -float("inf"), float("inf")

    @property
    def steepness(self) -> tuple[float, float]:
        """Numbers, exact, between which (f(x) − f(y))/(x − y) lies for all x != y where f is defined; of a
        function that grows the first one is >= 0. Infinite where nothing is known."""
        return -float("inf"), float("inf")

    @property
    def ulps(self) -> int:
        """Relative rounding error of computing f, in unit roundoffs, with that of casting its parameters."""
        return 1

    @property
    def absolute(self) -> float:
        """Absolute rounding error of computing f that comes on top, in unit roundoffs: for functions that
        are not computed to full relative precision where they are small."""
        return 0.0

    @property
    def curvature(self) -> float:
        """Bound of |f''| if f bends as much far from zero as near it, where rounding displaces a turning
        point x by a few u·|x|; 0 if that displacement costs no more than the rounding of f itself."""
        return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Bilinear(Op):
    """z = x ∘ y, linear in each of two variable inputs."""


@dataclass(frozen=True, slots=True, eq=False)
class Maximum(Op):
    """z_j = max of the input elements in group j."""

    @abstractmethod
    def groups(self, *shapes: Shape) -> Tensor:
        """Indices (outputs, k) into the concatenation of the flattened inputs; a shorter group
        repeats one of its members."""


@dataclass(frozen=True, slots=True, eq=False)
class Enclosed(Op):
    """z = f(x, …), of which nothing more is stated than which values it can take over a box."""

    @abstractmethod
    def enclosure(self, *inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Bounds (batch, *shape) of the values for inputs between bounds (batch, *in_i), rounded outward."""


@dataclass(frozen=True, slots=True, eq=False)
class Composite(Op):
    """An operator made of parts: `decompose` must return them."""
