# SPDX-License-Identifier: Apache-2.0
"""The engine's answer."""

from __future__ import annotations

import pytest

from vnnverify import Verdict
from vnnverify.engine.answer import Answer


def test_answer_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match=r"compare answer\.verdict with"):
        bool(Answer(Verdict.UNSAT))
