# SPDX-License-Identifier: Apache-2.0
"""What a backend is: options, what it supports, and `verify(query, ctx) -> Outcome`."""

from __future__ import annotations

import dataclasses
import logging
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar, final

import torch
from torch import Tensor

from vnnverify.deadline import Deadline
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.plugin.options import parsed
from vnnverify.query import Clause, Query
from vnnverify.sharing import Parcel, Team
from vnnverify.verdict import Guarantee, Support, Verdict

__all__ = [
    "Backend",
    "ClauseBackend",
    "Context",
    "NoOptions",
    "Outcome",
]


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Options of a backend that has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a backend found out. Expected failure is a value with a reason, not an exception."""

    verdict: Verdict
    reason: str = ""
    witness: Tensor | None = None  # (n,) if sat
    residual: Query | None = None  # the clauses still open, if unknown or timeout; None: all of them
    certificate: object | None = None  # of unsat: what another program can recompute the proof from
    stats: Mapping[str, Any] = field(default_factory=dict)  # JSON-able counters: see `statistics`
    left: Parcel | None = None  # the sub-problems still open, from which a search can go on
    obstacle: Obstacle | None = None  # the reason, for programs

    @classmethod
    def sat(cls, witness: Tensor, **stats: Any) -> Outcome:
        """A counterexample x (n,) was found; the runner replays it before anyone is told."""
        return cls(Verdict.SAT, witness=witness.detach(), stats=stats)

    @classmethod
    def unsat(cls, **stats: Any) -> Outcome:
        """Every clause is proved empty by sound bounds."""
        return cls(Verdict.UNSAT, stats=stats)

    @classmethod
    def unknown(
        cls, reason: str, residual: Query | None = None, obstacle: Obstacle | None = None, **stats: Any
    ) -> Outcome:
        """The backend is at its wits' end; `residual` holds what is still open."""
        return cls(Verdict.UNKNOWN, reason=reason, residual=residual, stats=stats, obstacle=obstacle)

    @classmethod
    def timeout(cls, reason: str = "", residual: Query | None = None, **stats: Any) -> Outcome:
        """The deadline came first."""
        obstacle = Obstacle(ObstacleKind.OUT_OF_TIME)
        return cls(Verdict.TIMEOUT, reason=reason, residual=residual, stats=stats, obstacle=obstacle)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a backend may use: time, device, dtype, randomness, a log, and the judge of witnesses."""

    deadline: Deadline
    device: torch.device
    dtype: torch.dtype
    generator: torch.Generator
    logger: logging.Logger
    confirm: Callable[[Tensor], bool]
    """Whether x (n,) is a witness in the original model, by the property's own text. A search
    should ask before it stops at a candidate: what float32 bounds call a hit may be none."""
    tell: Callable[[int, int, float], None] = lambda visited, left, bound: None
    """How a search stands: sub-problems visited so far, those open, and the lowest bound among the latest.
    May be called at every step; what is made of it costs nothing."""
    team: Team | None = None
    """Other workers, if there are any, to which a search may hand open sub-problems."""
    parcel: Parcel | None = None
    """Sub-problems of the query's clauses that a search is to begin with instead of the whole: what an
    outcome of the same backend has `left`, or what a search of it gave to its team. Others meet none."""

    last_batch: float = 0.0
    """Seconds before the deadline at which a search begins no further batch."""

    def until(self, deadline: Deadline) -> Context:
        """The same context with another deadline."""
        return dataclasses.replace(self, deadline=deadline)


O = TypeVar("O")  # noqa: E741  the options dataclass of a backend


class Backend(ABC, Generic[O]):
    """Decides queries. Subclass as `class Mine(Backend[MyOptions])`; `self.options` holds the options."""

    guarantee: ClassVar[Guarantee] = Guarantee.REAL
    options_type: ClassVar[type] = NoOptions

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            origin, args = typing.get_origin(base), typing.get_args(base)
            if (
                isinstance(origin, type)
                and issubclass(origin, Backend)
                and args
                and isinstance(args[0], type)
            ):
                cls.options_type = args[0]

    def __init__(self, options: O | None = None) -> None:
        self.options: O = self.options_type() if options is None else options

    def supports(self, query: Query) -> Support:
        """Whether `verify` can work on this query. Never raises; a "no" has a reason."""
        return Support.yes()

    @abstractmethod
    def verify(self, query: Query, ctx: Context) -> Outcome:
        """Decide the query, or say what is left of it. Must return soon after `ctx.deadline`."""

    @classmethod
    def parse_options(cls, given: Mapping[str, str]) -> Any:
        """An options object from texts, as on the command line.

        Raises:
            OptionError: an unknown key, or a value of the wrong type or out of range.
        """
        return parsed(cls.options_type, given)


class ClauseBackend(Backend[O]):
    """A backend that decides one clause at a time; the loop, the clock and the sum are done here."""

    @abstractmethod
    def decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
        """Decide a single clause of `query`. An undecided outcome may carry what is left of the clause as
        its residual query."""

    @final
    def verify(self, query: Query, ctx: Context) -> Outcome:
        """`sat` if any clause is, `unsat` if all are, else the open clauses as a residual query."""
        open_clauses: list[Clause] = []
        undecided: list[Outcome] = []
        stats: dict[str, Any] = {}
        for index, clause in enumerate(query.clauses):
            if ctx.deadline.expired:
                rest = query.with_clauses((*open_clauses, *query.clauses[index:]))
                return Outcome.timeout(f"{len(rest.clauses)} clauses open", rest, **stats)
            outcome = self.decide(query, clause, ctx)
            _add_counters(stats, outcome.stats)
            if outcome.verdict is Verdict.SAT:
                return dataclasses.replace(outcome, stats=stats)
            if outcome.verdict is not Verdict.UNSAT:
                left = () if outcome.residual is None else outcome.residual.clauses
                open_clauses.extend(left or (clause,))  # undecided, so it cannot be nothing
                undecided.append(outcome)
        if not open_clauses:
            return Outcome.unsat(**stats)
        residual = query.with_clauses(open_clauses)
        if ctx.deadline.expired:
            return Outcome.timeout(undecided[0].reason, residual, **stats)
        return Outcome.unknown(undecided[0].reason, residual, undecided[0].obstacle, **stats)


def _add_counters(total: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        total[key] = total[key] + value if number and key in total else value
