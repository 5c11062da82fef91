# SPDX-License-Identifier: Apache-2.0
"""The competition's format, to the letter, and back."""

from __future__ import annotations

import pytest

from vnnverify.errors import SpecError
from vnnverify.results import Report, Witness, find_writer
from vnnverify.results.vnncomp import VnncompWriter, read_witness
from vnnverify.verdict import Verdict

SAT = """sat
((X_0 0.10000000149011612)
 (X_1 -1e-45)
 (Y_0 3.4028234663852886e+38)
 (Y_1 0.0))
"""


def test_sat_holds_the_witness(sat: Report) -> None:
    assert VnncompWriter().write(sat) == SAT


@pytest.mark.parametrize("verdict", [Verdict.UNSAT, Verdict.UNKNOWN, Verdict.TIMEOUT, Verdict.ERROR])
def test_all_else_is_a_word(verdict: Verdict) -> None:
    report = Report("m", "q", verdict, "some reason\nor other")
    assert find_writer("vnncomp").write(report) == f"{verdict.value}\n"


def test_witness_reads_back_to_the_same_numbers(sat: Report) -> None:
    assert sat.witness is not None
    assert read_witness(SAT) == Witness(sat.witness.x, sat.witness.y)


def test_reads_what_other_tools_write() -> None:
    text = "sat\n(\n(X_0   1e-1)(X_1 -2)\n\n( Y_0 +3.5E2 ))"
    assert read_witness(text) == Witness((0.1, -2.0), (350.0,))
    assert read_witness("((X_0 1))") == Witness((1.0,), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unsat\n", r"^out\.txt: no witness \(\(X_0 …\) …\) found; only `sat` results hold one$"),
        ("sat\n((Y_0 1.0))", r"^out\.txt: no witness"),
        ("sat\n((X_0 1.0) (X_2 1.0))", r"^out\.txt: X_2 out of order; expected X_1$"),
        ("sat\n((X_0 1.0) (X_0 1.0))", r"^out\.txt: X_0 out of order; expected X_1$"),
        ("sat\n((X_0 0x10))", r"^out\.txt: X_0: '0x10' is not a number$"),
    ],
)
def test_what_holds_no_witness_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_witness(text, "out.txt")
