# SPDX-License-Identifier: Apache-2.0
"""Which backends, in which order, with which share of the time.

Backends cooperate: each gets the clauses that the ones before it left open.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from vnnverify.deadline import Deadline
from vnnverify.engine.answer import Answer
from vnnverify.engine.runner import replayed, run
from vnnverify.errors import OptionError, PluginError
from vnnverify.guard import Guard
from vnnverify.ir import Elementwise
from vnnverify.plugin.backend import Backend, Context
from vnnverify.plugin.manager import Plugins
from vnnverify.query import Query
from vnnverify.query.model_points import Points, points_in
from vnnverify.sharing import Parcel, Team
from vnnverify.suggestion import did_you_mean
from vnnverify.verdict import Guarantee, Support, Verdict

__all__ = ["Standing", "Step", "automatic", "decide", "load_backends", "sequence"]

logger = logging.getLogger(__name__)

FEW_INPUTS = 16
"""Up to so many varying inputs halving the input box decides most queries."""
FEW_NONLINEAR, FEW_ENCODED = 4000, 1000
"""Up to so many nonlinear neurons an exact encoding has a chance: where few inputs vary, where many do."""


FEW_CLAUSES = 64
"""Up to so many open clauses are looked at for points that the model can be given."""


@dataclass(frozen=True, slots=True)
class Step:
    """One backend's turn: a fraction of the time then left, and seconds it is capped at.

    A `precise` one is in float64, and only if the turn before came to its end in a coarser type.
    """

    backend: str
    share: float = 1.0
    at_most: float = float("inf")
    precise: bool = False


@dataclass(slots=True)
class Standing:
    """How far `decide` has come. Another thread may read it at any time."""

    turns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by backend, in order
    residual: Query | None = None  # what is still open
    running: str = ""  # the backend whose turn it is
    since: float = 0.0  # when the turn began (`time.monotonic`)
    search: Mapping[str, Any] = field(default_factory=dict)  # how its search stood when it last told

    def result(self) -> Answer:
        """The undecided result of an end here and now, with the unfinished turn as far as it has come."""
        turns = {name: list(each) for name, each in self.turns.items()}
        if self.running:
            reason = "stopped at the time limit"
            seconds = time.monotonic() - self.since
            unfinished = Answer(Verdict.TIMEOUT, reason, seconds=seconds, stats=self.search)
            left = 0 if self.residual is None else len(self.residual.clauses)
            turns.setdefault(self.running, []).append(_turn(unfinished, left))
        reason = _reasons(turns) or "no backend had a turn"
        return Answer(Verdict.TIMEOUT, reason, stats=turns, residual=self.residual)


def automatic(query: Query, installed: Sequence[str]) -> list[Step]:
    """The default order, read off the query's structure: refute cheaply, prove, be exact, refute again."""
    nonlinear = sum(n.output.size for n in query.graph.nodes if isinstance(n.op, Elementwise))
    if query.varying <= FEW_INPUTS and nonlinear <= FEW_NONLINEAR:
        steps = [
            Step("falsification", 0.05, 0.3),
            Step("zonotope", 0.1),
            Step("bound_propagation", 0.1),
            Step("zonotope", 0.6),
            Step("bound_propagation", 0.8),
            Step("zonotope", 0.3, precise=True),
            Step("bound_propagation", 0.3, precise=True),
            Step("milp", 0.8),
            Step("falsification"),
        ]
    else:
        steps = [
            Step("falsification", 0.05, 1.0),
            Step("bound_propagation", 0.8 if nonlinear <= FEW_ENCODED else 0.94),
            Step("milp", 0.8 if nonlinear <= FEW_ENCODED else 0.4),
            Step("falsification"),
        ]
    if query.truncated or query.layout.whole:
        steps.insert(1, Step("enumeration", 0.8 if query.truncated else 0.3))
    return [step for step in steps if step.backend in installed]


def sequence(names: Sequence[str]) -> list[Step]:
    """The named backends in turn: equal shares of the time, what one leaves goes to the next."""
    return [Step(name, 1.0 / (len(names) - index)) for index, name in enumerate(names)]


def load_backends(
    plugins: Plugins, names: Sequence[str], options: Mapping[str, str], *, required: bool = True
) -> dict[str, Backend[Any]]:
    """Instances of the named backends with their options.

    Args:
        options: texts under `key` (any backend that has it) or `backend.key`.
        required: whether each of them was asked for by name; otherwise one that cannot be imported is
            left out, with a warning.

    Raises:
        PluginError: a required backend is missing or broken.
        OptionError: an option is unknown to all of the backends, or its value is out of range.
    """
    ordered = sorted(options.items(), key=lambda pair: "." in pair[0])  # `backend.key` overrides `key`
    loaded: dict[str, Backend[Any]] = {}
    used: set[str] = set()
    known: set[str] = set()
    plain: set[str] = set()
    for name in dict.fromkeys(names):
        try:
            kind = plugins.backend_class(name)
            fields = {f.name: f for f in dataclasses.fields(kind.options_type)}
            known |= {key for field in fields for key in (field, f"{name}.{field}")}
            plain |= {key for key, field in fields.items() if not field.metadata.get("advanced")}
            given: dict[str, str] = {}
            for key, text in ordered:
                owner, _, short = key.rpartition(".")
                if owner in ("", name) and (short in fields or owner == name):
                    given[short] = text
                    used.add(key)
            loaded[name] = _make(name, kind, kind.parse_options(given))
        except PluginError as error:
            if required:
                raise
            logger.warning("%s; going on without it", error)
    unused = sorted(set(options) - used)
    if unused:
        names_known = ", ".join(sorted(plain)) or "none"
        meant = did_you_mean(unused[0], known)
        raise OptionError(
            f"unknown option {unused[0]!r}{meant}; options of {', '.join(loaded) or 'nobody'}: {names_known}"
        )
    return loaded


def _make(name: str, kind: type[Backend[Any]], options: Any) -> Backend[Any]:
    try:
        return kind(options)
    except Exception as error:  # fence: a backend is somebody else's code
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PluginError(f"backend {name!r} fails to load: {reason}") from error


def decide(
    query: Query,
    steps: Sequence[Step],
    backends: Mapping[str, Backend[Any]],
    ctx: Context,
    report: Callable[[str, Answer], None] = lambda name, result: None,
    team: Callable[[str], Team | None] = lambda name: None,
    standing: Standing | None = None,
) -> Answer:
    """Give each backend its turn until one settles the query.

    The result's statistics are the turns of each backend, in order: `verdict`, `seconds`, `reason`,
    `open_clauses` (left when it ended) and the backend's own counters. One that was passed over has a turn
    of no time, with the reason why.

    Args:
        report: called with each backend's name and result as it ends.
        team: the other workers during a backend's turn, if there are any.
        standing: is kept up to date.
    """
    standing = Standing() if standing is None else standing
    standing.residual = query
    if not query.clauses:
        logger.warning(
            "no disjunct of the property can be satisfied, whatever the network computes: vacuously unsat"
        )
        return Answer(Verdict.UNSAT, "vacuous: no disjunct can be satisfied")
    guard = Guard(query)
    ctx = dataclasses.replace(ctx, confirm=guard.confirm)
    turns = standing.turns
    left: dict[str, Parcel | None] = {}  # where each backend's search stood, to go on from there
    failed = False
    last: Answer | None = None
    open_query = query
    guarantee = Guarantee.REAL  # of the clauses discharged so far
    for step in steps:
        if ctx.deadline.expired:
            break
        backend = backends[step.backend]
        each = turns.setdefault(step.backend, [])
        if step.precise and not _ended(each, ctx):
            continue
        support = _support(backend, open_query)
        if not support:
            passed = _turn(Answer(Verdict.UNKNOWN, support.reason), len(open_query.clauses))
            each.extend([] if passed in each else [passed])
            continue
        limit = Deadline.after(min(step.at_most, step.share * ctx.deadline.remaining()))
        known = left.get(step.backend)
        if known is not None and not step.precise:
            known = known.about(open_query.clauses) if known.covers(open_query.clauses) else None
        turn = dataclasses.replace(ctx, deadline=limit, team=team(step.backend), parcel=known)
        if step.precise:  # what was left, and what others compute, is in the coarser type
            turn = dataclasses.replace(turn, dtype=torch.float64, team=None, parcel=None)
        standing.search, standing.since, standing.running = {}, time.monotonic(), step.backend
        turn = dataclasses.replace(turn, tell=_told_too(turn.tell, standing))
        result = run(open_query, step.backend, backend, turn)
        standing.running = ""
        left[step.backend] = None if step.precise else result.left
        report(step.backend, result)
        if not result.verdict.decided and _discharges(result, open_query):
            guarantee = _weaker(guarantee, result.guarantee)
            open_query = dataclasses.replace(result.residual or open_query, source=query.source)
            standing.residual = open_query
        each.append(_turn(result, 0 if result.verdict is Verdict.UNSAT else len(open_query.clauses)))
        if result.verdict is Verdict.SAT:
            return dataclasses.replace(result, stats=turns)
        result = _guarded(guard, result)
        if result.verdict.decided or result.final:
            return dataclasses.replace(result, stats=turns, guarantee=_weaker(guarantee, result.guarantee))
        failed |= result.verdict is Verdict.ERROR
        last = result
    verdict = Verdict.ERROR if failed else Verdict.UNKNOWN
    verdict = Verdict.TIMEOUT if ctx.deadline.expired else verdict
    reason = _reasons(turns)
    if verdict is not Verdict.ERROR:
        reason = "; ".join(part for part in (_beside_the_point(open_query), reason) if part)
    if last is None:
        return Answer(verdict, reason or "no backend had a turn", stats=turns, residual=open_query)
    return dataclasses.replace(
        last, verdict=verdict, reason=reason, stats=turns, witness=None, residual=open_query
    )


def _reasons(turns: Mapping[str, list[dict[str, Any]]]) -> str:
    return "; ".join(f"{name}: {each[-1]['reason']}" for name, each in turns.items())


def _told_too(
    tell: Callable[[int, int, float], None], standing: Standing
) -> Callable[[int, int, float], None]:
    """`tell`, which also keeps what it is told."""

    def told(visited: int, left: int, bound: float) -> None:
        standing.search = {"subproblems": visited, "open": left, "lowest_bound": bound}
        tell(visited, left, bound)

    return told


def _guarded(guard: Guard, result: Answer) -> Answer:
    """The result, which is no proof if the graph is not the model; and `sat` if comparing the two came upon a
    counterexample to what was proved."""
    witness = guard.check()
    if witness is not None and result.verdict is Verdict.UNSAT:
        logger.warning("backend %s proved what the model refutes; please report this", result.backend)
        return dataclasses.replace(result, verdict=Verdict.SAT, reason="", witness=witness)
    why = guard.objection or (guard.reservation if result.verdict is Verdict.UNSAT else "")
    return dataclasses.replace(result, verdict=Verdict.UNKNOWN, reason=why, final=True) if why else result


def _ended(turns: Sequence[Mapping[str, Any]], ctx: Context) -> bool:
    """Whether the last of a backend's turns came to its end undecided, in another type than float64."""
    return ctx.dtype is not torch.float64 and bool(turns) and turns[-1]["verdict"] == Verdict.UNKNOWN.value


def _beside_the_point(query: Query) -> str:
    """Why no input of the model can be a counterexample, if that is so, though one over the reals may be;
    empty otherwise."""
    if len(query.clauses) > FEW_CLAUSES:
        return ""
    kinds = {points_in(clause.region, query.layout) for clause in query.clauses}
    if not kinds <= {Points.NONE, Points.BESIDE}:
        return ""
    region = query.clauses[0].region
    judged = replayed(query, (region.lower + region.upper) / 2)
    return f"no input of the model is a counterexample, though some real number may be: {judged.reason}"


def _turn(result: Answer, open_clauses: int) -> dict[str, Any]:
    """The record of a turn; a counter of the backend does not take the place of what is said about all."""
    said = {
        "verdict": result.verdict.value,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "open_clauses": open_clauses,
    }
    return {**said, **result.stats, **said}


def _support(backend: Backend[Any], query: Query) -> Support:
    try:
        return backend.supports(query)
    except Exception as error:  # fence: a backend is somebody else's code
        logger.debug("supports() failed", exc_info=True)
        return Support.no(f"supports() failed: {type(error).__name__}: {error}".splitlines()[0])


def _discharges(result: Answer, query: Query) -> bool:
    """Whether the result's residual query may replace `query` as what is left to decide.

    A residual without clauses contradicts the verdict that came with it, and what only a statistical
    guarantee discharges stays open for those who prove.
    """
    if result.residual is None or result.residual is query:
        return False
    return bool(result.residual.clauses) and result.guarantee is not Guarantee.STATISTICAL


def _weaker(a: Guarantee, b: Guarantee) -> Guarantee:
    order = list(Guarantee)
    return max(a, b, key=order.index)
