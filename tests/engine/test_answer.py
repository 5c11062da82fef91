# SPDX-License-Identifier: Apache-2.0
"""The engine's answer."""

from __future__ import annotations

import pytest

from vnnverify import Verdict
from vnnverify.engine.answer import Answer, Turn
from vnnverify.obstacle import Obstacle


def test_answer_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match=r"compare answer\.verdict with"):
        bool(Answer(Verdict.UNSAT))


def test_turn_as_a_record() -> None:
    said = {"verdict": "unknown", "seconds": 0.123, "reason": "full", "open_clauses": 2}
    turn = Turn(Verdict.UNKNOWN, "full", 0.1234, 2, None, {"boxes": 3, "reason": "not the backend's to say"})
    assert turn.to_record() == {**said, "boxes": 3}
    full = Turn(Verdict.UNKNOWN, "full", 0.1234, 2, Obstacle.limit("memory", 64))
    limit = {"kind": "limit reached", "option": "memory", "value": 64}
    assert full.to_record() == {**said, "obstacle": limit}
