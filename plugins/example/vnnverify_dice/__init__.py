# SPDX-License-Identifier: Apache-2.0
"""Tells vnnverify about the backend; imports nothing heavy."""

from vnnverify import BackendInfo, hookimpl


@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="dice", summary="intervals prove, random points refute", load=_load)


def _load():
    from vnnverify_dice.backend import Dice

    return Dice
