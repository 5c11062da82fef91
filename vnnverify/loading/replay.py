# SPDX-License-Identifier: Apache-2.0
"""The judge of witnesses: the original model in onnxruntime, and the property's own text.

No `sat` leaves the program without passing here. The input is rounded inward to the model's own
type first, so that what is replayed and printed is exactly what the model reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.importer.sessions import judges_of
from vnnverify.ir import Graph
from vnnverify.numerics import direct_convolutions, gamma, round_down
from vnnverify.query import Box, Clause, Layout, ModelFile, Polytope, Region, Replay, TensorSpec
from vnnverify.query.representable import ends, is_whole, nearest, single
from vnnverify.vnnlib.ast import Variable

if TYPE_CHECKING:
    from vnnverify.importer import Model
    from vnnverify.vnnlib import ParsedProperty

__all__ = ["OnnxSource", "PropertySource"]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A point of the models' own numbers in a box, and the inputs at which it may lie beside what is meant.

    Both lists hold (index, element type). They are inputs of floating-point types that the text sets to one
    decimal number, which is none of the type.
    """

    x: tuple[float, ...]
    lost: tuple[tuple[int, str], ...]  # the box holds no number of the type
    lone: tuple[tuple[int, str], ...]  # the box holds one on its end, perhaps just outside the interval
    refused: str = ""  # why there is no such point: an interval without a number of its input's type


class PropertySource:
    """Replays witnesses of a property about one or several models.

    Args:
        layout: of all models together.
        clauses: the query's clauses; a witness is put into the box of the nearest one.
        graph: the query's graph. Without one no number stands for a decimal that its type does not hold.
    """

    def __init__(
        self,
        models: Sequence[ModelFile],
        layout: Layout,
        prop: ParsedProperty,
        clauses: Sequence[Clause],
        graph: Graph | None = None,
    ) -> None:
        self.models = tuple(models)
        self.judges = judges_of(self.models)
        self._graph = graph
        self._layout = layout
        self._property = prop
        self._clauses = clauses
        self._last: tuple[bytes, Replay] | None = None  # the last valid answer, which is asked for again

    def replay(self, x: Tensor) -> Replay:
        """Run the models at x (n,) and evaluate every assertion of the text, with zero tolerance.

        The answer holds the inputs of all models, also where the graph has fewer. x is rounded to the
        nearest point of the model's type in the box. As the box is the text's, rounded outward to float64,
        its ends may lie outside by less than one float64 step; if the text refuses the point, the nearest
        one off the ends is tried too. An interval that holds no number of the type has no witness, unless it
        is one decimal: see `_judge`.
        """
        if torch.isnan(x).any():
            return Replay(False, "the point holds NaN", tuple(x.tolist()), ())
        key = x.detach().cpu().to(torch.float64).numpy().tobytes()
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        if not self._clauses:
            return Replay(
                False, "no disjunct of the property has a non-empty input box", tuple(x.tolist()), ()
            )
        region = _nearest_region(self._clauses, x)
        tried: dict[tuple[float, ...], Replay] = {}
        for take in _TAKES:
            placed = self._place(x, region, take)
            if placed.x not in tried:
                tried[placed.x] = answer = self._judge(placed, region)
                if answer.valid:
                    self._last = key, answer
                    return answer
        return next(iter(tried.values()))

    def outputs(self, x: Tensor) -> tuple[float, ...]:
        """The models' outputs at the point of their own numbers next to x (n,), wherever that is: nothing is
        put into a box or asked about it."""
        flat = x.detach().cpu().double().numpy()
        if self._layout.columns is not None:
            flat = flat[list(self._layout.columns)]
        parts = [nearest(flat[own], spec.dtype) for spec, own in self._inputs()]
        return self.judges[0].run(np.concatenate(parts).tolist())

    def _inputs(self) -> Iterator[tuple[TensorSpec, slice]]:
        """The models' inputs, and which elements of all of them are theirs."""
        start = 0
        for spec in self._layout.inputs:
            size = int(np.prod(spec.shape))
            yield spec, slice(start, start + size)
            start += size

    def _judge(self, placed: _Placed, region: Region) -> Replay:
        """Run the model, by each judge, and ask the text: exactly, then with numbers standing for decimals
        next to them.

        Where the text sets an input to a decimal that is no number of its type, a model reads it as the
        nearest one. This is a witness if what the decimal itself leads to over the reals is surely unsafe
        too, so that it does not matter how the text is read. Where such inputs are of several types, this
        holds for the first type only.
        """
        columns = self._layout.columns
        x = placed.x if columns is None else tuple(placed.x[column] for column in columns)
        if placed.refused:
            return Replay(False, placed.refused, x, ())
        y = self.judges[0].run(x)
        answer = self._asked(placed, x, y, region)
        for judge in self.judges[1:] if answer.valid else ():
            other = self._asked(placed, x, judge.run(x), region)
            if not other.valid:
                return Replay(False, f"refused by {judge.name}: {other.reason}", x, y)
        return answer

    def _asked(self, placed: _Placed, x: tuple[float, ...], y: tuple[float, ...], region: Region) -> Replay:
        """What the text says of the inputs and these outputs."""
        if not all(np.isfinite(y)):
            return Replay(False, "an output is not finite", x, y)
        reason = ""
        for unsure in (placed.lost, placed.lost + placed.lone)[: 2 if placed.lone else 1]:
            dtype = unsure[0][1] if unsure else "float32"
            rounded = frozenset(index for index, name in unsure if name == dtype)
            valid, why = self._property.holds_at(placed.x, y, rounded, dtype)
            if valid and rounded and not self._unsafe_around(placed.x, sorted(rounded), region):
                valid, why = False, self._beside(sorted(rounded)[0], dtype)
            if valid:
                return Replay(True, "", x, y, len(rounded))
            reason = reason or why
        return Replay(False, reason, x, y)

    def _beside(self, index: int, dtype: str) -> str:
        name = self._property.name(Variable("X", index))
        return f"no {dtype} is what {name} is set to, and over the reals that is not surely unsafe"

    def _unsafe_around(self, x: tuple[float, ...], free: list[int], region: Region) -> bool:
        """Whether every point that has the inputs `free` anywhere in their intervals of the region, and the
        others as x has them, is unsafe over the reals. A black box has no other meaning than at x."""
        if self._graph is None:
            return False
        lower = torch.tensor(x, dtype=torch.float64)
        upper = lower.clone()
        lower[free], upper[free] = region.lower[free], region.upper[free]
        try:
            with torch.no_grad(), direct_convolutions():
                low, high = interval.bounds(self._graph, Box(lower, upper))
        except UnsupportedOperator:
            return True
        same = (c for c in self._clauses if _same_box(c.region, region))
        return any(_holds_box(polytope, low, high) for clause in same for polytope in clause.unsafe)

    def _place(self, x: Tensor, region: Region, take: str) -> _Placed:
        flat = np.zeros(region.lower.numel())
        lost: dict[int, str] = {}
        lone: dict[int, str] = {}
        refused = ""
        for spec, own in self._inputs():
            columns = np.arange(own.start, own.stop)
            if self._layout.columns is not None:
                columns = np.array(self._layout.columns[own], dtype=np.int64)
            point, low, high = (
                t.detach().cpu().double().numpy()[columns] for t in (x, region.lower, region.upper)
            )
            flat[columns] = _choose(point, low, high, spec.dtype, take)
            first, last = ends(low, high, spec.dtype)
            stands = single(low, high) & (not is_whole(spec.dtype))
            without = (first > last) & ~(stands & np.isfinite(flat[columns]))
            if without.any():
                name = self._property.name(Variable("X", int(columns[without.argmax()])))
                refused = refused or f"no {spec.dtype} lies between the bounds of {name}"
            inner_first, inner_last = ends(low, high, spec.dtype, strictly=True)
            on_ends = (first <= last) & (inner_first > inner_last) & (low < high)
            alone = on_ends & stands & ((first == last) | (spec.dtype == "float64"))
            lost.update((k, spec.dtype) for k in columns[(first > last) & stands].tolist())
            lone.update((k, spec.dtype) for k in columns[alone].tolist())
        return _Placed(tuple(flat.tolist()), tuple(lost.items()), tuple(lone.items()), refused)


class OnnxSource(PropertySource):
    """Replays witnesses of one model and one property."""

    def __init__(
        self, model: Model, prop: ParsedProperty, clauses: Sequence[Clause], graph: Graph | None = None
    ) -> None:
        super().__init__((model,), model.layout, prop, clauses, graph)


_TAKES = ("nearest", "first", "last")
"""Which point of a box to take: the nearest to x; or the nearest off the ends, and of two neighbouring
numbers that are the ends the first, or the last."""


def _choose(x: np.ndarray, lower: np.ndarray, upper: np.ndarray, dtype: str, take: str) -> np.ndarray:
    """Numbers of `dtype`, as float64: in [lower, upper] where there is one, else nearest to the middle."""
    first, last = ends(lower, upper, dtype)
    least, greatest = first, last
    if take != "nearest":
        inner_first, inner_last = ends(lower, upper, dtype, strictly=True)
        between = inner_first <= inner_last
        least = np.where(between, inner_first, first if take == "first" else last)
        greatest = np.where(between, inner_last, least)
    value = np.clip(nearest(x, dtype), least, greatest)
    return np.where(first <= last, value, nearest((lower + upper) / 2, dtype))


def _same_box(a: Region, b: Region) -> bool:
    return a is b or (torch.equal(a.lower, b.lower) and torch.equal(a.upper, b.upper))


def _holds_box(polytope: Polytope, lower: Tensor, upper: Tensor) -> bool:
    """Whether the polytope, as the text has it before its rows are rounded up, surely holds the output box
    [lower, upper] (m,)."""
    A = polytope.A
    most = A.clamp(min=0) @ upper + A.clamp(max=0) @ lower
    size = A.abs() @ torch.maximum(lower.abs(), upper.abs())
    return bool((most + gamma(A.shape[1], torch.float64) * size < round_down(polytope.b)).all())


def _nearest_region(clauses: Sequence[Clause], x: Tensor) -> Region:
    """The region of the clause whose box x (n,) sticks out of least."""
    x = x.detach().cpu().to(torch.float64)
    best, least = 0, float("inf")
    for start in range(0, len(clauses), 4096):
        part = clauses[start : start + 4096]
        lower = torch.stack([c.region.lower for c in part])
        upper = torch.stack([c.region.upper for c in part])
        excess = torch.maximum(lower - x, x - upper).clamp(min=0).amax(dim=1)
        index = int(excess.argmin())
        if float(excess[index]) < least:
            best, least = start + index, float(excess[index])
    return clauses[best].region
