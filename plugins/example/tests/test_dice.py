# SPDX-License-Identifier: Apache-2.0
from vnnverify_dice.backend import Dice, DiceOptions

from vnnverify.testing import Settings, parametrize_with_backend_checks

EASY = Settings(must_decide={"absolute_below", "point_sat", "point_unsat", "clauses_sat"})


@parametrize_with_backend_checks([Dice()], settings=EASY)
def test_dice(backend, check):
    check(backend)


@parametrize_with_backend_checks([Dice(DiceOptions(samples=1))])
def test_one_throw(backend, check):
    check(backend)
