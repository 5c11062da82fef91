# SPDX-License-Identifier: Apache-2.0
"""A backend on trial: how it is run, for how long, and what it must be able to decide."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch

from vnnverify.deadline import Deadline
from vnnverify.engine.runner import make_context
from vnnverify.plugin.backend import Backend, Context, Outcome
from vnnverify.query import Query
from vnnverify.testing.records import CheckFailure, CheckSkipped
from vnnverify.testing.zoo import Specimen, zoo
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["MustDecide", "Settings", "answer", "ask", "context", "name_of", "supported_zoo"]

MustDecide = bool | Collection[str] | Callable[[Specimen], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """How backends are tried.

    Attributes:
        must_decide: which specimens count as easy: none, all that are not tight, these names, or those
            a function picks.
        seconds: time for each query that must be decided; for every one that is not tight, if none must.
        spare_seconds: time for each other query, which a backend may well leave open.
        grace: seconds by which a deadline may be overrun.
        queries: further queries, whose truth need not be known, for the checks of consistency.
        dtype: float type that the context asks for.
    """

    must_decide: MustDecide = False
    seconds: float = 1.0
    spare_seconds: float = 0.2
    grace: float = 2.0
    queries: tuple[Query, ...] = ()
    dtype: torch.dtype = torch.float32

    def requires(self, specimen: Specimen) -> bool:
        """Whether the backend must decide this specimen."""
        if isinstance(self.must_decide, bool):
            return self.must_decide and not specimen.tight
        if callable(self.must_decide):
            return self.must_decide(specimen)
        return specimen.name in self.must_decide

    def time_for(self, specimen: Specimen) -> float:
        """Seconds for a specimen."""
        wanted = not specimen.tight if self.must_decide is False else self.requires(specimen)
        return self.seconds if wanted else self.spare_seconds


def context(
    query: Query,
    seconds: float = 5.0,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Context:
    """A context as the runner makes it: `confirm` replays a candidate in the query's own model."""
    return make_context(query, Deadline.after(seconds), device=device, dtype=dtype, seed=seed)


def name_of(backend: Backend[Any]) -> str:
    """The class, and the options that are not at their default."""
    changed = [
        f"{field.name}={getattr(backend.options, field.name)}"
        for field in dataclasses.fields(backend.options)
        if getattr(backend.options, field.name) != field.default
    ]
    return f"{type(backend).__name__}({', '.join(changed)})"


def ask(backend: Backend[Any], query: Query, ctx: Context, name: str) -> Outcome:
    """What the backend answers to the query called `name`.

    Raises:
        CheckFailure: it raised an exception, or did not return an outcome.
    """
    try:
        outcome = backend.verify(query, ctx)
    except Exception as error:  # whatever it is, it is a failure
        raise CheckFailure(f"{name}: verify raised {type(error).__name__}: {error}") from error
    if not isinstance(outcome, Outcome):
        raise CheckFailure(f"{name}: verify must return an Outcome, not {type(outcome).__name__}")
    return outcome


def answer(backend: Backend[Any], query: Query, ctx: Context, name: str, grace: float) -> Outcome:
    """What `ask` returns; in a thread, so that a backend that never returns costs only its own check.

    A statistical `unsat` is no statement about the query and comes back as unknown.

    Raises:
        CheckFailure: it raised, or did not return within `grace` seconds after the deadline.
    """
    seconds = ctx.deadline.remaining()
    found: list[Outcome] = []
    raised: list[CheckFailure] = []

    def work() -> None:
        try:
            found.append(ask(backend, query, ctx, name))
        except CheckFailure as error:  # handed on to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True, name=f"check {name_of(backend)}")
    thread.start()
    thread.join(seconds + grace)
    if raised:
        raise raised[0]
    if not found:
        raise CheckFailure(f"{name}: {seconds:.1f} s were given, no answer after {seconds + grace:.1f} s")
    if found[0].verdict is Verdict.UNSAT and backend.guarantee is Guarantee.STATISTICAL:
        return Outcome.unknown("a statistical guarantee")
    return found[0]


def supported_zoo(backend: Backend[Any]) -> list[Specimen]:
    """The specimens that the backend says it can work on.

    Raises:
        CheckSkipped: there are none.
    """
    found = [specimen for specimen in zoo() if backend.supports(specimen.query)]
    if not found:
        raise CheckSkipped("the backend supports no query of the zoo")
    return found
