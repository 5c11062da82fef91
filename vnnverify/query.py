# SPDX-License-Identifier: Apache-2.0
"""The normal form of a verification question: one graph, input regions, unsafe output polytopes.

    sat  <=>  some clause has an x in its region with graph(x) in one of its unsafe polytopes

Numbers are float64, rounded outward: a region is never smaller and an unsafe polytope never
smaller than what the property's text says, so a proof of `unsat` covers the text. A witness is
judged by the text itself (`vnnverify.validate`), never by these rounded numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

from vnnverify.declared import Declared
from vnnverify.ir.graph import Graph
from vnnverify.ir.op import Shape
from vnnverify.numerics import gamma, varies
from vnnverify.representable import is_whole

__all__ = [
    "Clause",
    "Judge",
    "Layout",
    "ModelFile",
    "Polytope",
    "Query",
    "Region",
    "Replay",
    "Source",
    "TensorSpec",
]


@dataclass(frozen=True, slots=True, eq=False)
class Polytope:
    """{z : A z <= b}, with row i strict where `strict[i]`."""

    A: Tensor  # (rows, n) float64
    b: Tensor  # (rows,) float64, rounded up
    strict: Tensor  # (rows,) bool

    @classmethod
    def of(cls, A: Tensor, b: Tensor, strict: Tensor | None = None) -> Polytope:
        """A polytope from its rows, non-strict unless said otherwise."""
        A, b = A.to(torch.float64), b.to(torch.float64)
        return cls(A, b, torch.zeros_like(b, dtype=torch.bool) if strict is None else strict)

    def margins(self, z: Tensor) -> Tensor:
        """A z − b: (batch, n) -> (batch, rows); z is inside where all rows are <= 0 (< 0 if strict)."""
        A, b = self.A.to(z.device, z.dtype), self.b.to(z.device, z.dtype)
        return z @ A.T - b

    def contains(self, z: Tensor) -> Tensor:
        """Which of the points z (batch, n) lie inside, up to the rounding of z's dtype: (batch,) bool."""
        margins = self.margins(z)
        return torch.where(self.strict.to(z.device), margins < 0, margins <= 0).all(dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Where inputs range: a box, cut by linear rows if given."""

    lower: Tensor  # (n,) float64, rounded down
    upper: Tensor  # (n,) float64, rounded up
    linear: Polytope | None = None

    @property
    def varying(self) -> int:
        """How many inputs vary, those left out whose interval is one number rounded outward."""
        return int(varies(self.lower, self.upper).sum())

    @property
    def empty(self) -> bool:
        """Whether some lower bound is above its upper bound, so that nothing lies inside."""
        return bool((self.lower > self.upper).any())

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform points (count, n) float64 of the box (the linear rows are not looked at)."""
        device = generator.device
        u = torch.rand(count, self.lower.numel(), generator=generator, dtype=torch.float64, device=device)
        most = torch.finfo(torch.float64).max
        lower, upper = (end.to(device).clamp(-most, most) for end in (self.lower, self.upper))
        half = upper / 2 - lower / 2  # the width may overflow
        x = torch.where(half < most / 4, lower + u * (upper - lower), lower + u * half + u * half)
        return torch.clamp(x, min=lower, max=upper)

    def contains(self, x: Tensor) -> Tensor:
        """Which of the points x (batch, n) lie inside: (batch,) bool."""
        lower, upper = self.lower.to(x.device), self.upper.to(x.device)
        inside = ((x >= lower) & (x <= upper)).all(dim=1)
        return inside if self.linear is None else inside & self.linear.contains(x)


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """One disjunct: a region, and the union of unsafe polytopes over the outputs."""

    region: Region
    unsafe: tuple[Polytope, ...]

    def violated_by(self, x: Tensor, y: Tensor) -> Tensor:
        """Which pairs (x, y), (batch, n) and (batch, m), are candidates for a witness: (batch,) bool."""
        hit = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
        for polytope in self.unsafe:
            hit |= polytope.contains(y)
        return hit & self.region.contains(x)

    def excluded_by(self, lower: Tensor, upper: Tensor) -> bool:
        """Whether no point of the output box [lower, upper] (m,), rounded outward, is unsafe."""
        lower, upper = lower.to(torch.float64), upper.to(torch.float64)
        return all(_polytope_misses_box(p, lower, upper) for p in self.unsafe)


def _polytope_misses_box(polytope: Polytope, lower: Tensor, upper: Tensor) -> bool:
    A = polytope.A
    least = A.clamp(min=0) @ lower + A.clamp(max=0) @ upper - polytope.b
    size = A.abs() @ torch.maximum(lower.abs(), upper.abs()) + polytope.b.abs()
    bound = least - gamma(A.shape[1] + 2, torch.float64) * size
    if bool((torch.isfinite(bound) & (bound > 0)).any()):
        return True
    close = torch.isfinite(bound) & (least >= -gamma(A.shape[1] + 2, torch.float64) * size)
    return any(_row_misses_box(polytope, k, lower, upper) for k in close.nonzero()[:EXACT_ROWS, 0].tolist())


EXACT_ROWS = 64
"""Rows of a polytope, too close to call in floats, that are worked out in rational numbers."""


def _row_misses_box(polytope: Polytope, k: int, lower: Tensor, upper: Tensor) -> bool:
    """Whether no z in [lower, upper] satisfies row k, exactly."""
    row = polytope.A[k]
    used = row.nonzero()[:, 0].tolist()
    ends = ((float(row[j]), float((lower if row[j] > 0 else upper)[j])) for j in used)
    least = sum((Fraction(a) * Fraction(z) for a, z in ends), Fraction(0)) - Fraction(float(polytope.b[k]))
    return least >= 0 if bool(polytope.strict[k]) else least > 0


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of the model: its ONNX name, shape (dynamic axes 1) and numpy dtype name.

    An output of maps counts as the tensor of their numbers, a row for each map, in the order of `classes`.
    """

    name: str
    shape: Shape
    dtype: str
    classes: tuple[int | str, ...] = ()  # keys of the maps; none of a tensor
    stated: Shape = ()  # the shape that the model states of an output which has another


@dataclass(frozen=True, slots=True)
class Layout:
    """How flat x and y map to named tensors, in order, flattened in C order and concatenated.

    `inputs` are those of all models. The graph may have fewer, where a property sets inputs equal.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tensors: tuple[Declared, ...] = ()  # the same as a VNN-LIB 2.0 text declares them
    columns: tuple[int, ...] | None = None  # which graph input each input is; None: they are the same

    @property
    def whole(self) -> dict[int, str]:
        """The types of those of the graph's inputs that hold whole numbers, by the input's index."""
        found: dict[int, str] = {}
        start = 0
        for spec in self.inputs:
            size = math.prod(spec.shape)
            if is_whole(spec.dtype):
                own = range(start, start + size)
                found.update(
                    dict.fromkeys(
                        own if self.columns is None else map(self.columns.__getitem__, own), spec.dtype
                    )
                )
            start += size
        return found

    def gather(self, x: Tensor) -> Tensor:
        """The graph's inputs (n,) from those of the models (all,); of equal ones, any."""
        if self.columns is None:
            return x
        found = x.new_zeros(max(self.columns, default=-1) + 1)
        found[list(self.columns)] = x
        return found


@dataclass(frozen=True, slots=True)
class Replay:
    """What the original model says about a candidate witness."""

    valid: bool
    reason: str  # why not, if not valid
    x: tuple[float, ...]  # the point as the model reads it, exact in the model's dtype
    y: tuple[float, ...]  # the model's outputs there
    rounded: int = 0  # inputs set to a decimal that is no number of the model's dtype: nearest used


@dataclass(frozen=True, slots=True)
class Judge:
    """One way of running the original models. A witness must be one to every judge."""

    name: str
    run: Callable[[Sequence[float]], tuple[float, ...]]
    """Flat outputs of all models at one flat point of all their inputs; raises what the runtime raises."""


class ModelFile(Protocol):
    """An original model."""

    @property
    def data(self) -> bytes:
        """The uncompressed file."""
        ...

    @property
    def layout(self) -> Layout:
        """Its inputs and outputs."""
        ...

    @property
    def roundoff(self) -> float:
        """The unit roundoff of the coarsest float type that it computes in."""
        ...

    @property
    def graph(self) -> Graph:
        """What it was read as."""
        ...

    def unsimplified(self) -> Graph:
        """The same node by node, as the file has it."""
        ...

    def reread(self, data: bytes) -> ModelFile:
        """Another file, such as a part of this one, read in the same way."""
        ...


class Source(Protocol):
    """Where a query came from; the judge of its witnesses."""

    @property
    def models(self) -> Sequence[ModelFile]:
        """The original models, in the order of the layout; none if the query was made without a file."""
        ...

    @property
    def judges(self) -> Sequence[Judge]:
        """All that run the original models; none if the query was made without a file."""
        ...

    def replay(self, x: Tensor) -> Replay:
        """Run the original model at x (n,) and check the property's own text."""
        ...

    def outputs(self, x: Tensor) -> tuple[float, ...]:
        """The original model's outputs at x (n,), as its own types read these numbers; whatever it raises."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One question: is any clause satisfiable?"""

    graph: Graph
    clauses: tuple[Clause, ...]
    layout: Layout
    source: Source
    truncated: tuple[int, ...] = ()  # graph inputs of which the outputs depend on the whole part only

    @property
    def varying(self) -> int:
        """The most inputs that vary in a clause."""
        return max((c.region.varying for c in self.clauses), default=0)

    @property
    def reach(self) -> float:
        """The largest absolute value of an input in a region."""
        ends = [end for clause in self.clauses for end in (clause.region.lower, clause.region.upper)]
        parts = (torch.stack(ends[k : k + 4096]) for k in range(0, len(ends), 4096))
        return max((float(part.abs().max()) for part in parts if part.numel()), default=0.0)

    def with_clauses(self, clauses: Iterable[Clause]) -> Query:
        """The residual query that asks about these clauses only."""
        return dataclasses.replace(self, clauses=tuple(clauses))
