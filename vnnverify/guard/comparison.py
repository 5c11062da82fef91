# SPDX-License-Identifier: Apache-2.0
"""The graph of a query beside the original model, which is its judge, at given points."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from vnnverify.guard.rounding import FLOOR, SINGLE, observed_rounding, scattered, tensor_scale
from vnnverify.ir import Graph
from vnnverify.numerics import AGREEMENT, unit_roundoff
from vnnverify.query import Judge, Layout, ModelFile

__all__ = ["Comparison", "Finding", "FindingKind", "gap"]

logger = logging.getLogger(__name__)

COARSE = 1e-2
"""Where rounding may move an output by more than this share of its tensor, that it does not move by more
says nothing about whether the graph is the model."""
LARGEST = {
    unit_roundoff(kind): torch.finfo(kind).max for kind in (torch.float16, torch.float32, torch.float64)
}
"""The largest number of a type, by its unit roundoff."""


class FindingKind(enum.Enum):
    """What was found where the graph is not the model."""

    MISREAD = "misread"  # the graph computes something else than the model
    CONTRADICTION = "contradiction"  # the runtime does not agree with itself
    OVERFLOW = "overflow"  # the model's own arithmetic leaves the numbers of its type


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A point at which the graph and its judges disagree beyond rounding."""

    kind: FindingKind
    x: Tensor  # (n,) the graph's inputs, as the model reads them
    output: int  # the flat output that differs most
    ours: float
    theirs: tuple[float, ...]  # by each judge


class Comparison:
    """Compares a graph with the judges of the models that it was read from.

    Args:
        graph: its first outputs are those of the layout; a query's graph may have more. None for a model that
            could not be read: then the judges alone are compared.
        models: the files, in the order of the layout.

    Attributes:
        compared: points at which the graph and all judges agree.
        silent: points that say nothing: a step within rounding of its jump, or the model does not run.
    """

    def __init__(self, graph: Graph | None, layout: Layout, models: Sequence[ModelFile]) -> None:
        self._graph = None if graph is None else graph.to("cpu", torch.float64)
        self._narrow = None if graph is None else graph.to("cpu", torch.float32)
        self._columns = None if layout.columns is None else list(layout.columns)
        self._sizes = [prod(spec.shape) for spec in layout.outputs]
        self._width = sum(self._sizes)
        self._models = tuple(models)
        self._roundoff = max((model.roundoff for model in models), default=SINGLE)
        self._generator = torch.Generator().manual_seed(0)
        self._raw: list[Graph] | None = None
        self.compared = 0
        self.silent = 0
        self.broken = ""  # what the runtime last said where it does not run

    @torch.no_grad()
    def at(self, x: Tensor, judges: Sequence[Judge]) -> tuple[Finding | None, Tensor]:
        """Compare at the points x (b, n), which are numbers of the model's input types.

        Returns:
            the first disagreement; and the outputs (b, m) of the first judge, NaN where it does not run.
        """
        answers = [self._judged(point, judges) for point in x]
        runs = torch.tensor([answer is not None for answer in answers])
        self.silent += int((~runs).sum())
        none = x.new_full((len(judges), self._width), torch.nan)
        theirs = torch.stack([none if answer is None else answer for answer in answers], dim=1)
        ours, allowed = self._computed(x, theirs[0])
        worst = _worst_gap(ours, theirs)  # (b, m)
        scale = tensor_scale(ours, self._sizes)
        near = runs & (worst <= allowed).all(dim=1)
        told = ((allowed <= COARSE * scale) | (worst <= COARSE**2 * scale)).all(dim=1)
        self._count(told[near])
        for k in (runs & ~near).nonzero()[:, 0].tolist():
            found = self._looked_at(x[k], ours[k], theirs[:, k], worst[k], scale[k])
            if found is not None:
                return found, theirs[0]
        return None, theirs[0]

    def _computed(self, x: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
        """The graph's outputs (b, m), and what each may differ by at first sight."""
        if self._graph is None or self._narrow is None:
            return theirs, AGREEMENT * tensor_scale(theirs, self._sizes)
        ours = self._graph(x)[:, : self._width]
        narrow = self._narrow(x.float())[:, : self._width]
        return ours, observed_rounding(ours, narrow, self._sizes, self._roundoff)

    def _judged(self, point: Tensor, judges: Sequence[Judge]) -> Tensor | None:
        """What each judge makes of the point, (judges, m); None where one does not run."""
        given = (point if self._columns is None else point[self._columns]).tolist()
        try:
            rows = [judge.run(given)[: self._width] for judge in judges]
        except Exception as error:  # onnxruntime raises what its C++ raises
            logger.debug("a judge does not run at a point", exc_info=True)
            self.broken = " ".join(str(error).split())[:160]
            return None
        return torch.tensor(rows, dtype=torch.float64)

    def _looked_at(
        self, point: Tensor, ours: Tensor, theirs: Tensor, worst: Tensor, scale: Tensor
    ) -> Finding | None:
        """A point at which the outputs differ by more than was observed of rounding: what may rounding do?"""
        room = AGREEMENT * scale if self._graph is None else self._room(point, scale)
        if bool((worst <= room).all()):
            self._count((room <= COARSE * scale).all()[None])
            return None
        output = int((worst - room).nan_to_num(nan=0.0, posinf=1e300).argmax())
        kind = self._kind(ours, theirs, room, output)
        if kind is FindingKind.MISREAD and self._overflows(point):
            kind = FindingKind.OVERFLOW
        return Finding(kind, point, output, float(ours[output]), tuple(theirs[:, output].tolist()))

    def _count(self, told: Tensor) -> None:
        self.compared += int(told.sum())
        self.silent += int((~told).sum())

    def _kind(self, ours: Tensor, theirs: Tensor, room: Tensor, output: int) -> FindingKind:
        agreeing = [bool((gap(ours, one) <= room).all()) for one in theirs]
        if any(agreeing):
            return FindingKind.CONTRADICTION
        lost = [not bool(torch.isfinite(one[output])) for one in theirs]
        if all(lost) and bool(torch.isfinite(ours[output])):
            return FindingKind.OVERFLOW
        return FindingKind.MISREAD

    def _overflows(self, point: Tensor) -> bool:
        """Whether some value inside the model is no finite number of a type as narrow as the narrowest it
        computes in: NaN and infinity count differently in a runtime."""
        most = LARGEST.get(self._roundoff, LARGEST[SINGLE])
        return any(
            not bool((value.abs() <= most).all())
            for graph, part in self._parts(point)
            for value in graph.evaluate(part[None]).values()
        )

    def _parts(self, point: Tensor) -> Iterator[tuple[Graph, Tensor]]:
        """The graph of each model, without simplifications, and its inputs (n,)."""
        if self._raw is None:
            self._raw = [model.unsimplified() for model in self._models]
        given = point if self._columns is None else point[self._columns]
        start = 0
        for graph in self._raw:
            yield graph, given[start : start + graph.input_size]
            start += graph.input_size

    def _room(self, point: Tensor, scale: Tensor) -> Tensor:
        """How far each output (m,) may differ for all that rounding may do."""
        parts = [
            scattered(graph, part, self._roundoff, self._generator) for graph, part in self._parts(point)
        ]
        room = torch.cat(parts)[: self._width] if parts else torch.zeros(self._width, dtype=torch.float64)
        each = torch.split(room, self._sizes)  # where noise decides among many elements, it may miss some
        room = torch.cat([part.amax().expand_as(part) if part.numel() else part for part in each])
        return room + FLOOR * SINGLE * (self._roundoff / SINGLE) * scale


def _worst_gap(ours: Tensor, theirs: Tensor) -> Tensor:
    """The largest difference of each output (b, m) between ours, the first judge's and each other judge's, of
    (judges, b, m)."""
    gaps = gap(ours, theirs)
    return torch.cat([gaps, gap(theirs[:1], theirs[1:])]).amax(dim=0)


def gap(a: Tensor, b: Tensor) -> Tensor:
    """|a − b|; zero where both are the same infinity or no number, infinite where only one is finite."""
    same = (a == b) | (a.isnan() & b.isnan())
    return torch.where(same, 0.0, (a - b).abs().nan_to_num(nan=torch.inf, posinf=torch.inf))
