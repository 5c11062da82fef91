# SPDX-License-Identifier: Apache-2.0
"""What backends share: options from texts, and the loop over clauses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch

from vnnverify import (
    Backend,
    Clause,
    ClauseBackend,
    Context,
    Deadline,
    Guarantee,
    NoOptions,
    Outcome,
    Query,
    Support,
    Verdict,
    option,
)
from vnnverify.engine.runner import make_context
from vnnverify.errors import OptionError
from vnnverify.testing import Network, box, halfspaces, query_of


@dataclass(frozen=True, slots=True)
class Beads:
    """Options of every kind."""

    count: int = option(8, help="beads on a wire", minimum=1, maximum=99)
    weight: float = option(0.5, help="of one bead", minimum=0.0)
    colour: str = option("red", help="of all beads", choices=("red", "black"))
    glass: bool = option(False, help="whether beads are of glass")
    wires: tuple[int, ...] = option((), help="positions of wires")
    memory: int = option(64, help="MiB to count in", minimum=1, mebibytes=True)


class Abacus(Backend[Beads]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("it only counts")


class LargeAbacus(Abacus):
    """Inherits its options."""


class Plain(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("it has no options")


def test_options_type_is_read_off_the_class() -> None:
    assert Abacus.options_type is LargeAbacus.options_type is Beads
    assert Plain.options_type is NoOptions
    assert Abacus().options == Beads()
    assert LargeAbacus(Beads(count=3)).options.count == 3


def test_options_from_texts() -> None:
    assert Abacus.parse_options({}) == Beads()
    given = {"count": "12", "weight": "1e-3", "colour": "black", "glass": "Yes"}
    assert Abacus.parse_options(given) == Beads(12, 1e-3, "black", True)


@pytest.mark.parametrize("text", ["true", "YES", "on", "1"])
def test_words_for_true(text: str) -> None:
    assert Abacus.parse_options({"glass": text}).glass is True


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        ("512", 512),
        ("4GiB", 4096),
        ("4g", 4096),
        ("1.5 GiB", 1536),
        ("2097152B", 2),
        ("1GB", 1024),
        ("1TiB", 1 << 20),
    ],
)
def test_memory_in_any_unit(text: str, mebibytes: int) -> None:
    assert Abacus.parse_options({"memory": text}).memory == mebibytes


@pytest.mark.parametrize("text", ["false", "No", "off", "0"])
def test_words_for_false(text: str) -> None:
    assert Abacus.parse_options({"glass": text}).glass is False


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        (
            "beads",
            "3",
            "unknown option 'beads'; this backend has: colour, count, glass, memory, weight, wires",
        ),
        ("count", "0", "option count=0: must be at least 1"),
        ("count", "100", "option count=100: must be at most 99"),
        ("count", "2.5", "option count='2.5': expected int"),
        ("count", "", "option count='': expected int"),
        ("weight", "nan", "option weight=nan: must be at least 0.0"),
        ("weight", "-1", "option weight=-1: must be at least 0.0"),
        ("weight", "heavy", "option weight='heavy': expected float"),
        ("colour", "blue", "option colour=blue: choose one of red, black"),
        ("glass", "maybe", "option glass='maybe': expected bool"),
        ("memory", "4 apples", "option memory='4 apples': expected a number of MiB or a size, as in 4GiB"),
        ("memory", "-4", "option memory='-4': expected a number of MiB or a size, as in 4GiB"),
        ("memory", "100KiB", "option memory=100KiB: must be at least 1"),
        ("wires", "1,2", "option wires: cannot be given as text, only by a program"),
    ],
)
def test_bad_option_is_refused_by_name(key: str, text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Abacus.parse_options({key: text})
    assert str(caught.value) == message


def test_backend_without_options_knows_none() -> None:
    with pytest.raises(OptionError, match=r"^unknown option 'count'; this backend has: none$"):
        Plain.parse_options({"count": "1"})


def test_support_is_as_true_as_its_answer() -> None:
    assert Support.yes() and not Support.no("too many beads")
    assert Support.no("too many beads").reason == "too many beads"


def test_outcome_makers_state_verdict_reason_and_counters() -> None:
    witness = torch.ones(2, requires_grad=True)
    sat = Outcome.sat(witness, points=3)
    assert sat.verdict is Verdict.SAT and sat.witness is not None and not sat.witness.requires_grad
    assert sat.stats == {"points": 3}
    assert Outcome.unsat().verdict is Verdict.UNSAT
    unknown, timeout = Outcome.unknown("why"), Outcome.timeout("late")
    assert (unknown.verdict, unknown.reason, unknown.residual) == (Verdict.UNKNOWN, "why", None)
    assert (timeout.verdict, timeout.reason) == (Verdict.TIMEOUT, "late")


@pytest.fixture(scope="module")
def query() -> Query:
    """|x| >= 3/4 on four boxes side by side."""
    absolute = Network.of(([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0]))
    high = halfspaces(([-1.0], -0.75))
    boxes = [box([k / 2 - 1], [k / 2 - 0.5]) for k in range(4)]
    return query_of(absolute.to_onnx(), [Clause(region, (high,)) for region in boxes])


class Scripted(ClauseBackend[NoOptions]):
    """Says of clause k what it is told to say, and remembers being asked."""

    def __init__(self, *answers: Outcome) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[Clause] = []

    def decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
        self.asked.append(clause)
        return self.answers[query.clauses.index(clause)]


def ask(query: Query, answers: Sequence[Outcome], deadline: Deadline | None = None) -> tuple[Outcome, int]:
    backend = Scripted(*answers)
    outcome = backend.verify(query, make_context(query, deadline or Deadline.never()))
    return outcome, len(backend.asked)


UNSAT, OPEN = Outcome.unsat(boxes=2, depth=1.5), Outcome.unknown("too wide", boxes=3, method="widest")


def test_all_clauses_proved_is_unsat(query: Query) -> None:
    outcome, asked = ask(query, [UNSAT] * 4)
    assert outcome.verdict is Verdict.UNSAT and asked == 4
    assert outcome.stats == {"boxes": 8, "depth": 6.0}


def test_no_clauses_is_unsat(query: Query) -> None:
    outcome, asked = ask(query.with_clauses(()), [])
    assert outcome.verdict is Verdict.UNSAT and asked == 0


def test_first_witness_ends_the_loop(query: Query) -> None:
    witness = torch.tensor([-1.0])
    outcome, asked = ask(query, [UNSAT, OPEN, Outcome.sat(witness, boxes=1), UNSAT])
    assert outcome.verdict is Verdict.SAT and asked == 3
    assert outcome.witness is not None and torch.equal(outcome.witness, witness)
    assert outcome.stats == {"boxes": 6, "depth": 1.5, "method": "widest"}


def test_open_clauses_are_the_residual_query(query: Query) -> None:
    outcome, asked = ask(query, [UNSAT, OPEN, UNSAT, Outcome.unknown("another reason")])
    assert (outcome.verdict, outcome.reason, asked) == (Verdict.UNKNOWN, "too wide", 4)
    assert outcome.residual is not None
    assert outcome.residual.clauses == (query.clauses[1], query.clauses[3])
    assert outcome.residual.graph is query.graph and outcome.residual.source is query.source


def test_what_is_left_of_a_clause_replaces_it(query: Query) -> None:
    half = dataclasses.replace(query.clauses[0], region=box([-1.0], [-0.75]))
    part = Outcome.unknown("half of it is left", query.with_clauses([half]))
    outcome, _ = ask(query, [part, UNSAT, OPEN, UNSAT])
    assert outcome.residual is not None
    assert outcome.residual.clauses == (half, query.clauses[2])


def test_undecided_with_nothing_left_leaves_the_clause(query: Query) -> None:
    """It contradicts itself; it must not become a proof."""
    outcome, _ = ask(query, [UNSAT, Outcome.unknown("nothing left?", query.with_clauses(())), UNSAT, UNSAT])
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.residual is not None and outcome.residual.clauses == (query.clauses[1],)


def test_failed_clause_is_open(query: Query) -> None:
    outcome, _ = ask(query, [UNSAT, Outcome(Verdict.ERROR, "solver broke"), UNSAT, UNSAT])
    assert (outcome.verdict, outcome.reason) == (Verdict.UNKNOWN, "solver broke")
    assert outcome.residual is not None and outcome.residual.clauses == (query.clauses[1],)


def test_deadline_leaves_the_rest_open(query: Query) -> None:
    class Slow(Scripted):
        def decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
            outcome = super().decide(query, clause, ctx)
            while len(self.asked) == 2 and not ctx.deadline.expired:
                pass
            return outcome

    backend = Slow(UNSAT, OPEN, UNSAT, UNSAT)
    outcome = backend.verify(query, make_context(query, Deadline.after(0.2)))
    assert (outcome.verdict, outcome.reason) == (Verdict.TIMEOUT, "3 clauses open")
    assert outcome.residual is not None and outcome.residual.clauses == query.clauses[1:]
    assert outcome.stats == {"boxes": 5, "depth": 1.5, "method": "widest"}


def test_expired_deadline_asks_nothing(query: Query) -> None:
    outcome, asked = ask(query, [UNSAT] * 4, Deadline.after(0.0))
    assert outcome.verdict is Verdict.TIMEOUT and asked == 0
    assert outcome.residual is not None and outcome.residual.clauses == query.clauses


def test_deadline_that_passes_in_the_last_clause_is_a_timeout(query: Query) -> None:
    class Slow(Scripted):
        def decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
            while len(self.asked) == 3 and not ctx.deadline.expired:
                pass
            return super().decide(query, clause, ctx)

    outcome = Slow(OPEN, UNSAT, UNSAT, UNSAT).verify(query, make_context(query, Deadline.after(0.2)))
    assert (outcome.verdict, outcome.reason) == (Verdict.TIMEOUT, "too wide")
    proved = Slow(UNSAT, UNSAT, UNSAT, UNSAT).verify(query, make_context(query, Deadline.after(0.2)))
    assert proved.verdict is Verdict.UNSAT


def test_flags_are_not_summed(query: Query) -> None:
    answers = [Outcome.unsat(exact=True), *[Outcome.unsat(exact=False)] * 3]
    assert ask(query, answers)[0].stats == {"exact": False}


def test_context_until_keeps_all_else(query: Query) -> None:
    ctx = make_context(query, Deadline.never(), seed=3)
    other = ctx.until(Deadline(1.0))
    assert other.deadline == Deadline(1.0)
    assert other.generator is ctx.generator and other.confirm is ctx.confirm
    assert Plain.guarantee is Guarantee.REAL
