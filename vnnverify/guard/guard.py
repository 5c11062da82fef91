# SPDX-License-Identifier: Apache-2.0
"""Stands between the backends and the answer: no proof about a graph that is not the model leaves."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from math import isfinite, prod

import torch
from torch import Tensor

from vnnverify.deadline import Deadline
from vnnverify.errors import VnnverifyError
from vnnverify.guard.blame import first_differing_node
from vnnverify.guard.comparison import Comparison, Finding, FindingKind
from vnnverify.guard.inside import before_steps
from vnnverify.guard.points import as_read, extreme_points, points_of
from vnnverify.guard.undefined import undefined_before_a_step
from vnnverify.importer.opaque import Opaque
from vnnverify.importer.sessions import judges_of
from vnnverify.ops import steps
from vnnverify.query import ModelFile, Query, Replay

__all__ = ["Disagreement", "Guard"]

logger = logging.getLogger(__name__)

SECONDS = 0.045
"""Seconds that comparing may take in any case …"""
SHARE = 0.03
"""… or this share of the time that the query has taken so far, whichever is more. The first points are
compared however long that takes."""
INSIDE = 10_000
"""Numbers before the steps of a model from which on they are compared at one point only."""
NAMING = 5.0
"""Seconds that finding the node to be named may take."""


_STEPS = tuple(getattr(steps, name) for name in steps.__all__)


class Disagreement(VnnverifyError):
    """The graph and the original model are not the same function: nothing can be proved."""


class Guard:
    """Compares a query's graph with the original models, as their judges run them, on the query's regions.

    Attributes:
        objection: why nothing can be said about this query at all; empty if nothing is known against it.
        reservation: why nothing counts as proved, though a witness would count.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._started = time.monotonic()
        self._spent = 0.0
        self._comparison: Comparison | None = None
        self._judges = query.source.judges
        self._opaque = any(isinstance(node.op, Opaque) for node in query.graph.nodes)
        self._stepped = any(isinstance(node.op, _STEPS) for node in query.graph.nodes)
        self._pending = self._points()
        self._begun = False
        self._looked_for_nan = False
        self._finding: Finding | None = None
        self._logged = 0  # points that were spoken of
        self.objection = ""
        self.reservation = ""

    @property
    def counts(self) -> tuple[int, int]:
        """Points at which graph and model were found to agree, and points that say nothing."""
        found = self._comparison
        return (found.compared, found.silent) if found else (0, 0)

    def confirm(self, x: Tensor) -> bool:
        """Whether x (n,) is a witness in the original model. A refused candidate is compared.

        Raises:
            Disagreement: the graph and the model differ there beyond rounding.
        """
        answer = self._query.source.replay(x)
        if answer.valid:
            return True
        if answer.x and self._judges and not self._opaque and not self._overspent():
            point = torch.tensor(answer.x, dtype=torch.float64)
            self._compare(self._query.layout.gather(point)[None])
            if self.objection:
                raise Disagreement(self.objection)
        return False

    def check(self) -> Replay | None:
        """Compare the graph with the model at further points of the regions, as long as that is cheap; then
        `objection` and `reservation` say what came of it.

        Returns:
            a witness, should one of the points be one. If all is proved, that is a bound gone wrong.
        """
        while self._judges and self._finding is None and not (self._begun and self._overspent()):
            asked = time.monotonic()
            x = next(self._pending, None)
            self._spent += time.monotonic() - asked
            if x is None:
                break
            x = as_read(x, self._query.layout)
            if self._stepped and not self._begun:
                self._look_inside(x)
            self._begun = True
            witness = None if self._finding else self._compare(x)
            if witness is not None:
                return witness
        if not self._looked_for_nan and not self._opaque:
            self._looked_for_nan = True
            undefined = undefined_before_a_step(self._query)
            if undefined and not self.reservation:
                self.reservation = (
                    f"node {undefined!r} may compute NaN within the region, and a later step makes a number "
                    "of it; no proof counts"
                )
        found = self._comparison
        if found is not None:
            if found.compared + found.silent > self._logged:
                self._logged = found.compared + found.silent
                logger.info(
                    "compared with the model at %d points, of which %d say nothing, in %.2f s",
                    self._logged, found.silent, self._spent,
                )  # fmt: skip
            if not self.objection and not self.reservation and not found.compared:
                why = _why_silent(found)
                self.reservation = f"the graph cannot be compared with the model: {why}; no proof counts"
        return None

    def _points(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(0)
        yield from points_of(self._query, generator)
        found = extreme_points(self._query, generator)
        yield from torch.split(found, 32) if len(found) else ()

    def _overspent(self) -> bool:
        passed = time.monotonic() - self._started
        return self._spent > max(SECONDS, SHARE * passed)

    def _compare(self, x: Tensor) -> Replay | None:
        """Compare at the points x (b, n), and note an objection; a witness if one of them is one."""
        begun = time.monotonic()
        query = self._query
        if self._comparison is None:
            graph = None if self._opaque else query.graph
            self._comparison = Comparison(graph, query.layout, query.source.models)
        finding, seen = self._comparison.at(x, self._judges)
        witness = None if finding else self._witness_among(x, seen)
        self._spent += time.monotonic() - begun
        if finding is not None:
            self._finding = finding
            columns = query.layout.columns
            given = finding.x if columns is None else finding.x[list(columns)]
            if finding.kind is not FindingKind.OVERFLOW:
                self.objection = self._said(finding, query.source.models, given)
            elif not self.reservation:
                self.reservation = self._said(finding, query.source.models, given)
        return witness

    def _look_inside(self, x: Tensor) -> None:
        """Compare what goes into the models' steps at the points x (b, n), and note an objection."""
        begun = time.monotonic()
        columns = self._query.layout.columns
        given = x if columns is None else x[:, list(columns)]
        start = 0
        for model in self._query.source.models:
            size = sum(prod(spec.shape) for spec in model.layout.inputs)
            part = before_steps(model)
            if part is not None and sum(prod(spec.shape) for spec in part.layout.inputs) == size:
                few = part.graph.output_size > INSIDE
                points = given[: 1 if few else None, start : start + size]
                comparison = Comparison(part.graph, part.layout, [part])
                finding, _ = comparison.at(points, judges_of([part]))
                if finding is not None and finding.kind is not FindingKind.OVERFLOW:
                    self._finding = finding
                    self.objection = self._said(finding, [part], finding.x)
                    break
            start += size
        self._spent += time.monotonic() - begun

    def _witness_among(self, x: Tensor, seen: Tensor) -> Replay | None:
        """A point of the regions at which the model itself violates the property. The query's graph, which
        knows all outputs that clauses speak of, says where it is worth asking."""
        with torch.no_grad():
            y = self._query.graph(x)
        y[:, : seen.shape[1]] = seen
        for clause in self._query.clauses[:64]:
            for k in clause.violated_by(x, y).nonzero()[:1, 0].tolist():
                answer = self._query.source.replay(x[k])
                if answer.valid:
                    return answer
        return None

    def _said(self, finding: Finding, models: Sequence[ModelFile], x: Tensor) -> str:
        """What a finding means, with the node where it begins: x (n,) are the inputs of these models."""
        names = [judge.name for judge in self._judges]
        place, ours, theirs = f"output {finding.output}", finding.ours, finding.theirs
        start = 0
        for model in models:
            size = sum(prod(spec.shape) for spec in model.layout.inputs)
            blamed = first_differing_node(model, x[start : start + size], Deadline.after(NAMING))
            start += size
            if blamed is not None:
                place = f"node {blamed.name!r} ({blamed.op_type})"
                ours, theirs = blamed.ours, blamed.theirs
                break
        if finding.kind is FindingKind.CONTRADICTION:
            values = " but ".join(f"{value:.6g} by {name}" for value, name in zip(theirs, names, strict=True))
            return f"onnxruntime contradicts itself at {place}: {values}; there is no one answer"
        if finding.kind is FindingKind.OVERFLOW:
            what = "overflows" if isfinite(ours) and not isfinite(theirs[0]) else "leaves the finite numbers"
            return (
                f"onnxruntime's own arithmetic {what} at {place} within the region ({theirs[0]:.6g} "
                f"instead of {ours:.6g}), so that no proof about real numbers counts; a smaller box may be "
                "decided"
            )
        return (
            f"the model was read differently from how onnxruntime runs it, at {place}: {ours:.6g} instead of "
            f"{theirs[0]:.6g}; no proof counts. Please report this, with what `vnnverify slice` cuts out"
        )


def _why_silent(found: Comparison) -> str:
    if found.broken:
        return f"onnxruntime does not run it ({found.broken})"
    return "at every point tried, rounding decides which way a step goes"
