# SPDX-License-Identifier: Apache-2.0
import pytest

from vnnverify.testing import Settings, parametrize_with_backend_checks

pytest.importorskip("vnnverify_dice", reason="the example is not part of vnnverify; install plugins/example")
from vnnverify_dice.backend import Dice, DiceOptions

EASY = Settings(must_decide={"absolute_below", "point_sat", "point_unsat", "clauses_sat"})


@parametrize_with_backend_checks([Dice()], settings=EASY)
def test_dice(backend, check):
    check(backend)


@parametrize_with_backend_checks([Dice(DiceOptions(samples=1))])
def test_one_throw(backend, check):
    check(backend)
