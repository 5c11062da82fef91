# SPDX-License-Identifier: Apache-2.0
"""The verdict for people, to the letter."""

from __future__ import annotations

import pytest

from vnnverify.results import Report, find_writer
from vnnverify.results.text import TextWriter
from vnnverify.verdict import Verdict

SAT = """\
sat: property violated: the witness was confirmed by onnxruntime
time           1.23 s
backend        falsification
note           bounds of 1 inputs hold no number of their type: nearest one used
falsification  seconds=0.25, points=12
"""
UNSAT = """\
unsat: property holds: no input in the region is unsafe
time       60.00 s
backend    milp
guarantee  float
"""
UNDECIDED = """\
timeout: undecided within the time limit
time    0.00 s
reason  milp: [red]late[/red]
milp    seconds=1, worst=-0.1235, name=a[b]
"""


@pytest.mark.parametrize(("name", "text"), [("sat", SAT), ("unsat", UNSAT), ("undecided", UNDECIDED)])
def test_lines_to_the_letter(name: str, text: str, request: pytest.FixtureRequest) -> None:
    assert find_writer("text").write(request.getfixturevalue(name)) == text


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
