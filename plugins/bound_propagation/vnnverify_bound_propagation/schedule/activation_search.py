# SPDX-License-Identifier: Apache-2.0
"""From a query to a search over the signs of its ReLUs: boxes, goals, root bounds, branch and bound."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from vnnverify import Clause, Context, Deadline, Query
from vnnverify.bounds.intermediate.cost import Margins
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State
from vnnverify.deadline import OutOfTime
from vnnverify.numerics import varies
from vnnverify.search import ActivationResult, ActivationSplit, SearchResult
from vnnverify_bound_propagation.branching.general import LineBounder
from vnnverify_bound_propagation.branching.relu import DualBounder, Goal
from vnnverify_bound_propagation.branching.tightened import TighteningBounder
from vnnverify_bound_propagation.one_hidden_layer.hinges import has_one_hidden_layer
from vnnverify_bound_propagation.one_hidden_layer.search import HingeBounder

__all__ = ["ActivationSearch"]

INNER_STEPS, STEPS = 10, 10
"""Gradient steps for an inner bound at the root, and for a sub-problem."""
CASES = (None, 0, 2, 4, 6, 8, 10, 12)
"""Rounds of better inner bounds at the root, with a search after each: none, optimised slopes, and at most
2^k cases for each bound."""
PATIENCE, TRIAL_SHARE, TRIAL_SECONDS = 12, 0.3, 1.0
"""A search between the rounds ends when it seems to need more splits one below the other than this, after
this part of the time left, or after as many seconds as this or as the round before it took."""
GROWTH, NEXT_SHARE = 4, 0.25
"""A round may take so many times as long as the one before it. It is dear if that is more than this part of
the time left."""
HOPELESS, GAIN, LONG_SHARE = 100, 0.25, 0.8
"""A search that seems to need more splits than this one below the other is in vain. Then, and where the last
round made up for this part of what was missing, the next may take so much of the time left."""
GOAL_STEPS, LINE_STEPS, LINES_SHARE = 20, 4, 0.6
"""Where there are more than ReLUs: gradient steps for the lines of a goal and of an inner bound, and the most
of the time left that the inner bounds may take."""
WINDOW_ROUNDS = ((0, 0), (0, 2), (0, 3), (4, 2), (8, 3))
"""Gradient steps and splits for an inner bound in each round, the last for all that follow, where rows are
patches of an image."""
PROGRESS = 0.1
"""Such a round is followed by the next if it made up for so much of what was missing."""
LARGE, LARGE_SHARE = 50_000, 0.9
"""Nonlinear elements beyond which the root is bounded in float32 first, and the part of the time it may take:
where the root is not finished, a search is in vain."""
PLAIN_SHARE, INNER_SHARE, ROOT_SHARE = 0.5, 0.3, 0.5
"""Most of the time left that each may take: plain root bounds, optimised inner bounds, and those that goals
have of their own."""
INNER_SPLITS, MANY = 1, 100
"""An inner bound of a sub-problem has 2^k cases; sub-problems get inner bounds of their own if there is time
for so many of them."""
BATCH_SECONDS = 4.0
"""A batch of these: rows are bounded faster by the thousand, and all with as many splits go side by side."""
PASSES = 4
"""A search over goals begins if there is time left for so many backward passes over all of them; it takes two
before it looks at the clock."""
LOOKS = 4
"""Rows about the outputs go through the whole network: so many looks at the clock for as many of them as are
bounded at once elsewhere."""


class ActivationSearch:
    """One search over all clauses of a query; clauses over the same box share its bounds.

    Args:
        memory: bytes that the rows of one backward pass may take.
        max_batch: most sub-problems bounded at once.
        forward_inputs: most varying inputs for which forward linear bounds are kept.
    """

    def __init__(
        self, query: Query, ctx: Context, *, memory: int, max_batch: int, forward_inputs: int
    ) -> None:
        self.query, self.ctx = query, ctx
        self.memory, self.max_batch, self.forward_inputs = memory, max_batch, forward_inputs
        self.graph = query.graph.to(ctx.device, torch.float64)
        self.stats: dict[str, float] = {}

    def run(self) -> SearchResult:
        """Search until all is proved, a witness is confirmed, or the deadline comes."""
        boxes = self._boxes()
        numbers = sum(v.size for node in self.graph.nodes for v in (node.output, *node.inputs))
        at_once = max(1, self.memory // (32 * numbers))
        groups = [boxes[k : k + at_once] for k in range(0, len(boxes), at_once)]
        open_: list[int] = []
        for index, group in enumerate(groups):
            share = self.ctx.deadline.share(1 / (len(groups) - index))
            found = self._search(group, self.ctx.until(share))
            self._count(found.stats)
            if found.witness is not None:
                return SearchResult([], found.witness, stats=self.stats)
            open_.extend(found.open_goals)
        return SearchResult(sorted(open_), timed_out=self.ctx.deadline.expired, stats=self.stats)

    def _count(self, stats: Mapping[str, float]) -> None:
        for key, value in stats.items():
            if key == "lowest_bound":
                self.stats[key] = min(self.stats.get(key, math.inf), value)
            else:
                self.stats[key] = self.stats.get(key, 0) + value

    def _boxes(self) -> list[list[int]]:
        """Indices of the clauses over each distinct box."""
        found: dict[tuple[bytes, bytes], list[int]] = {}
        for k, clause in enumerate(self.query.clauses):
            region = clause.region
            key = (region.lower.cpu().numpy().tobytes(), region.upper.cpu().numpy().tobytes())
            found.setdefault(key, []).append(k)
        return list(found.values())

    def _search(self, boxes: list[list[int]], ctx: Context) -> ActivationResult:
        """Bound these boxes and search the goals over them. `open_goals` of the result are clauses."""
        lower, upper = self._ends(boxes)
        free = varies(lower, upper).any(dim=0).nonzero()[:, 0]
        forms = free if 0 < free.numel() <= self.forward_inputs else None
        outputs = self._outputs(boxes)
        tool = Propagator(self.graph, forms, torch.float64, memory=self.memory, outputs=outputs, light=True)
        large = sum(v.size for v in tool.plan.refine) > LARGE
        share = LARGE_SHARE if large else PLAIN_SHARE
        state = tool.propagate(lower, upper, ctx.deadline.share(share))
        asked = sum(len(self.query.clauses[k].unsafe) for k in itertools.chain.from_iterable(boxes))
        before = time.monotonic()
        goals = self._open_goals(tool, state, boxes, ctx.deadline)
        if not goals:
            return ActivationResult([], stats={"subproblems": 0})
        each = (time.monotonic() - before) / asked
        if not _in_time(goals, each, ctx.deadline):
            return _undecided(goals)
        if has_one_hidden_layer(tool.graph):
            return self._shallow(tool, state, goals, ctx)
        if not tool.only_relus:
            return self._general(tool, state, goals, ctx)
        return self._in_rounds(tool, state, goals, each, ctx)

    def _in_rounds(
        self, tool: Propagator, state: State, goals: list[Goal], each: float, ctx: Context
    ) -> ActivationResult:
        """Inner bounds at the root and searches in turn. An early search gives up soon; where the next round
        would be dear, a search takes all of the time, or as long as such a round if that is promising.

        Args:
            each: seconds that a backward pass takes for a goal.
        """
        goals_at_root, visited = len(goals), 0
        share, lowest = INNER_SHARE, 0.0  # nothing has been gained so far
        for splits in CASES:
            before = time.monotonic()
            if splits is not None:
                Refinement(tool, state).run(INNER_STEPS, ctx.deadline.share(share), splits)
            spent = time.monotonic() - before
            if not _in_time(goals, each, ctx.deadline):
                return _undecided(goals, visited)
            result, root = self._trial(tool, state, goals, ctx, max(spent, TRIAL_SECONDS))
            visited += result.stats["subproblems"]
            goals = [goals[k] for k in result.open_goals]
            if not goals:
                break
            hopeless = result.splits_needed > HOPELESS
            promising = hopeless or root > (1 - GAIN) * lowest
            share, lowest = LONG_SHARE if promising else INNER_SHARE, root
            left = ctx.deadline.remaining()
            if splits is None or GROWTH * spent <= NEXT_SHARE * left:
                continue
            another = promising and spent < LONG_SHARE * left and splits != CASES[-1]
            if another and (hopeless or not splits):  # an early search has been just that
                continue
            if not _in_time(goals, each, ctx.deadline):
                return _undecided(goals, visited)
            limited = ctx.until(Deadline.after(min(2 * spent, left))) if another else ctx
            result = self._last(tool, state, goals, ctx, limited, splits)
            visited += result.stats["subproblems"]
            goals = [goals[k] for k in result.open_goals]
            if not goals or not another:
                break
        stats = {**result.stats, "subproblems": visited, "goals": goals_at_root}
        clauses = sorted({goal.clause for goal in goals})
        return dataclasses.replace(result, open_goals=clauses, stats=stats)

    def _shallow(self, tool: Propagator, state: State, goals: list[Goal], ctx: Context) -> ActivationResult:
        """The search where every ReLU's argument is affine in the inputs."""
        bounder = HingeBounder(tool, state, goals, ctx)
        result = ActivationSplit(bounder, ctx, max_batch=self.max_batch).run(*bounder.start())
        clauses = sorted({goals[k].clause for k in result.open_goals})
        stats = {**result.stats, "goals": len(goals), "open_signs": bounder.size}
        return dataclasses.replace(result, open_goals=clauses, stats=stats)

    def _general(self, tool: Propagator, state: State, goals: list[Goal], ctx: Context) -> ActivationResult:
        """Where there are more than ReLUs: lines optimised for each goal, then for each inner bound as well,
        then splits on the arguments of all elementwise operators."""
        stats = {"goals": len(goals), "subproblems": 0}
        own, goals, rows, worst = self._optimised(tool, state, goals, ctx.deadline)
        rounds: Iterable[tuple[int, int]] = ((LINE_STEPS, 0),)
        if Refinement(tool, state).narrow:
            rounds = itertools.chain(WINDOW_ROUNDS, itertools.repeat(WINDOW_ROUNDS[-1]))
        for steps, splits in rounds:
            if not goals or ctx.deadline.expired:
                break
            before = worst
            margins = Margins(
                torch.cat([g.polytope.A for g in goals]).to(state.lower.device),
                torch.cat([g.polytope.b for g in goals]).to(state.lower.device),
                _per_row(goals, [g.box for g in goals]).to(state.lower.device),
            )
            limit = ctx.deadline.share(LINES_SHARE)
            bettered = Refinement(tool, state, margins).run(steps, limit, splits)
            if bettered:
                own, goals, rows, worst = self._optimised(tool, state, goals, ctx.deadline)
            if steps and not worst > (1 - PROGRESS) * before:
                break
        if not goals:
            return ActivationResult([], stats=stats)
        bounder = LineBounder(tool, own, goals, rows, ctx)
        try:
            roots, found = bounder.start()
        except OutOfTime:
            return _undecided(goals)
        result = ActivationSplit(bounder, ctx, max_batch=self.max_batch).run(roots, found)
        clauses = sorted({goals[k].clause for k in result.open_goals})
        return dataclasses.replace(result, open_goals=clauses, stats={**stats, **result.stats})

    def _optimised(
        self, tool: Propagator, state: State, goals: list[Goal], deadline: Deadline
    ) -> tuple[State, list[Goal], Tensor, float]:
        """Those goals no row of which is proved by lines of its own; a state with one box for each of them,
        with the lines of its best row; which row that is; and the least of their bounds."""
        own, open_, rows_of, worst = [], [], [], math.inf
        for part in _batches(goals, tool.rows_optimised(tool.graph)):
            rows = torch.cat([g.polytope.A for g in part]).to(state.lower.device)
            limit = torch.cat([g.polytope.b for g in part]).to(state.lower.device)
            count = torch.tensor([g.polytope.b.numel() for g in part], device=rows.device)
            goal = torch.arange(len(part), device=rows.device).repeat_interleave(count)
            box = torch.tensor([g.box for g in part], device=rows.device)[goal]
            try:
                found = tool.optimised_margins(state, rows, limit, box, GOAL_STEPS, deadline)
            except OutOfTime:
                for one in part:
                    own.append(state.of_box(one.box))
                    open_.append(one)
                    rows_of.append(0)
                worst = -math.inf
                continue
            for k in range(len(part)):
                mine = (goal == k).nonzero()[:, 0]
                best = int(mine[found.lower[mine].argmax()]) if mine.numel() else -1
                if best < 0 or not (math.isfinite(found.lower[best]) and found.lower[best] > 0):
                    own.append(found.state.of_box(best) if best >= 0 else state.of_box(part[k].box))
                    open_.append(part[k])
                    worst = min(worst, float(found.lower[best]) if best >= 0 else -math.inf)
                    rows_of.append(best - int(mine[0]) if best >= 0 else 0)
        chosen = torch.tensor(rows_of, dtype=torch.long, device=state.lower.device)
        return State.stacked(own) if own else state, open_, chosen, worst

    def _trial(
        self, tool: Propagator, state: State, goals: list[Goal], ctx: Context, seconds: float
    ) -> tuple[ActivationResult, float]:
        """A search that gives up early, and the least bound of its roots. `open_goals` of the result are
        indices of `goals`."""
        limited = ctx.until(Deadline.after(min(seconds, ctx.deadline.share(TRIAL_SHARE).remaining())))
        bounder = DualBounder(tool, state, goals, limited, dtype=ctx.dtype, steps=STEPS)
        search = ActivationSplit(bounder, limited, max_batch=self.max_batch, patience=PATIENCE)
        roots, found = bounder.start()
        return _named(search.run(roots, found), bounder), float(found.lower.min())

    def _last(
        self, tool: Propagator, state: State, goals: list[Goal], whole: Context, ctx: Context, splits: int
    ) -> ActivationResult:
        """A search that takes all of the time of `ctx`, with inner bounds of each sub-problem's own where in
        the `whole` time left there is time for many of these."""
        plain = DualBounder(tool, state, goals, ctx, dtype=ctx.dtype, steps=STEPS)
        if not splits:
            return _named(ActivationSplit(plain, ctx, max_batch=self.max_batch).run(*plain.start()), plain)
        bounder = TighteningBounder.over(plain, tool, state, splits=INNER_SPLITS, memory=self.memory)
        before, limit = time.monotonic(), ctx.deadline.share(ROOT_SHARE)
        roots, found = bounder.start(limit)
        each = (time.monotonic() - before) / len(goals)
        most = self.max_batch
        if not limit.expired and MANY * each < whole.deadline.remaining():
            search = ActivationSplit(bounder, ctx, full_batch=1, max_batch=most, seconds=BATCH_SECONDS)
        else:
            kept, found = bounder.without_more(found, ctx)
            search = ActivationSplit(kept, ctx, max_batch=most)
        result = search.run(roots, found)
        visited = result.stats["subproblems"] + bounder.subproblems
        return _named(dataclasses.replace(result, stats={**result.stats, "subproblems": visited}), plain)

    def _outputs(self, boxes: list[list[int]]) -> Tensor:
        """The outputs (m,) that the clauses over these boxes are about: bool."""
        used = torch.zeros(self.graph.output_size, dtype=torch.bool)
        for k in itertools.chain.from_iterable(boxes):
            for polytope in self.query.clauses[k].unsafe:
                used |= (polytope.A != 0).any(dim=0).cpu()
        return used.to(self.ctx.device)

    def _ends(self, boxes: list[list[int]]) -> tuple[Tensor, Tensor]:
        regions = [self.query.clauses[members[0]].region for members in boxes]
        lower = torch.stack([r.lower for r in regions]).to(self.ctx.device)
        upper = torch.stack([r.upper for r in regions]).to(self.ctx.device)
        return lower, upper

    def _open_goals(
        self, tool: Propagator, state: State, boxes: list[list[int]], deadline: Deadline
    ) -> list[Goal]:
        """The unsafe polytopes that the root bounds do not exclude, or that there was no time to look at."""
        goals: list[Goal] = []
        device = state.lower.device
        for box, members in enumerate(boxes):
            here = state.of_box(box)
            region = self.query.clauses[members[0]].region
            asked = [Goal(k, box, p) for k in members for p in self.query.clauses[k].unsafe]
            for part in _batches(asked, tool.rows_at_once(device) // LOOKS):
                if deadline.expired:
                    goals.extend(part)
                    continue
                clauses = [Clause(region, (goal.polytope,)) for goal in part]
                spec = Specification.of(clauses, self.graph.output_size, device)
                lower = tool.margins(here, spec.as_type(tool.dtype).joined())[0].lower
                open_ = spec.open_polytopes(lower.reshape(len(part), -1))[:, 0]
                goals.extend(goal for goal, still in zip(part, open_.tolist(), strict=True) if still)
        return goals


def _in_time(goals: list[Goal], each: float, deadline: Deadline) -> bool:
    """Whether a search over the goals can begin, where a backward pass takes `each` seconds for each."""
    return deadline.remaining() > PASSES * each * len(goals)


def _undecided(goals: list[Goal], visited: int = 0) -> ActivationResult:
    """The result if the time has run out. `open_goals` are clauses."""
    stats = {"goals": len(goals), "subproblems": visited}
    return ActivationResult(sorted({goal.clause for goal in goals}), timed_out=True, stats=stats)


def _batches(goals: list[Goal], rows: int) -> Iterator[list[Goal]]:
    """The goals in turn, with about so many rows at a time."""
    part: list[Goal] = []
    for goal in goals:
        part.append(goal)
        if sum(g.polytope.b.numel() for g in part) >= rows:
            yield part
            part = []
    if part:
        yield part


def _per_row(goals: list[Goal], numbers: list[int]) -> Tensor:
    """The goals' numbers for each of their rows: (R,)."""
    counts = torch.tensor([g.polytope.b.numel() for g in goals])
    return torch.tensor(numbers).repeat_interleave(counts)


def _named(result: ActivationResult, bounder: DualBounder) -> ActivationResult:
    """With the number of signs that the bounder may split among the statistics."""
    return dataclasses.replace(result, stats={**result.stats, "open_signs": bounder.dual.size})
