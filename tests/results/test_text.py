# SPDX-License-Identifier: Apache-2.0
"""The verdict for people, to the letter."""

from __future__ import annotations

import pytest

from vnnverify.results import Explanation, Report, find_writer
from vnnverify.results.text import TextWriter
from vnnverify.verdict import Verdict

SAT = """\
sat: property violated: the witness was confirmed by onnxruntime
time           1.23 s
backend        falsification
note           decimals of 1 inputs are no numbers of their type: nearest one used
falsification  0.25 s  points=12
"""
UNSAT = """\
unsat: property holds: no input in the region is unsafe
time       60.00 s
backend    milp
guarantee  float
"""
UNDECIDED = """\
timeout: undecided within the time limit
time   0.00 s
milp   1.00 s          [red]late[/red]
boxes  0.50 + 12.25 s  worst=-0.5, all=a[b]
"""
EXPLAINED = """\
timeout: undecided within the time limit
time           0.00 s
milp           1.00 s          [red]late[/red]
boxes          0.50 + 12.25 s  worst=-0.5, all=a[b]

open           3 of 20 clauses: 3, 11, ?
hardest        clause 11: Y_3 <= Y_8
margin         at least -2.5 by boxes; 0.25 at the nearest input; a proof needs > 0
sub-problems   12,007 by boxes
bounds loosen  most at node 'Relu_3' (Relu): intervals are 154 times as wide as 256 samples, 9.5
               times before it
to try         --timeout 32: [red]boxes[/red] has 7 sub-problems open
               another --seed
"""
POOR = """\
unknown: undecided
time           0.00 s

open           14 of 20 clauses: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …
margin         no finite bound; no input tried; a proof needs > 0
sub-problems   none
bounds loosen  most at node 'n' (Mul): intervals have no finite bounds there
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [("sat", SAT), ("unsat", UNSAT), ("undecided", UNDECIDED), ("explained", EXPLAINED)],
)
def test_lines_to_the_letter(name: str, text: str, request: pytest.FixtureRequest) -> None:
    assert find_writer("text").write(request.getfixturevalue(name)) == text


def test_explanation_leaves_out_what_is_not_known() -> None:
    why = Explanation(clauses=20, open_clauses=tuple(range(14)), node="n", operator="Mul")
    assert TextWriter().write(Report("m", "q", Verdict.UNKNOWN, explanation=why)) == POOR


def test_reason_is_told_where_no_turn_has_one() -> None:
    report = Report("m", "q", Verdict.TIMEOUT, "stopped at the time limit", stats={"boxes": {"visited": 7}})
    assert TextWriter().write(report).splitlines()[2:] == [
        "reason  stopped at the time limit",
        "boxes     visited=7",
    ]


def test_proof_over_the_reals_says_so() -> None:
    text = TextWriter().write(Report("m", "q", Verdict.UNSAT))
    assert "guarantee  sound over the real numbers for the stored parameters; rounding accounted for" in text


@pytest.mark.parametrize(
    ("verdict", "meaning"), [(Verdict.UNKNOWN, "undecided"), (Verdict.ERROR, "the run failed")]
)
def test_first_line_tells_the_verdicts_apart(verdict: Verdict, meaning: str) -> None:
    assert TextWriter().write(Report("m", "q", verdict)).splitlines()[0] == f"{verdict.value}: {meaning}"


def test_colours_only_where_asked_for(sat: Report) -> None:
    assert "\x1b[" in TextWriter(color=True).write(sat)
    assert "\x1b[" not in TextWriter().write(sat)


def test_long_reason_is_wrapped_not_cut() -> None:
    words = [f"word{k}" for k in range(60)]
    text = TextWriter(width=80).write(Report("m", "q", Verdict.UNKNOWN, " ".join(words)))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert [word for word in words if word not in text] == []
