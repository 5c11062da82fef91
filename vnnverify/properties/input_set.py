# SPDX-License-Identifier: Apache-2.0
"""Sets of inputs as VNN-LIB text: a box, perhaps cut by linear rows and balls."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from vnnverify.errors import SpecError
from vnnverify.properties.text import Names, box, exact, exact_square, row

__all__ = ["BallText", "InputSet"]

MOST_L1 = 8
"""Inputs of an L1 ball up to which it is written as one linear row for every choice of signs."""


@dataclass(frozen=True, slots=True, eq=False)
class BallText:
    """All x with ‖x − centre‖ <= radius."""

    norm: int  # 1 or 2
    centre: np.ndarray  # (n,)
    radius: float

    def text(self, names: Names) -> list[str]:
        """The ball as VNN-LIB expressions, exactly.

        Raises:
            SpecError: an L1 ball of many inputs, which VNN-LIB has no words for.
        """
        numbers = [(names(k), exact(c)) for k, c in enumerate(self.centre.tolist())]
        if self.norm == 2:
            away = (f"(- {x} {c})" for x, c in numbers)
            return [f"(<= {_sum([f'(* {d} {d})' for d in away])} {exact_square(self.radius)})"]
        if len(numbers) > MOST_L1:
            raise SpecError(
                f"an L1 ball of {len(numbers)} inputs cannot be written as VNN-LIB (at most {MOST_L1}); "
                "vnnverify.bounds(model, vnnverify.Ball(1, x, eps)) bounds outputs over it"
            )
        sides = ((f"(- {x} {c})", f"(- {c} {x})") for x, c in numbers)
        sums = (list(chosen) for chosen in product(*sides))
        return [f"(<= {_sum(parts)} {exact(self.radius)})" for parts in sums]


@dataclass(frozen=True, slots=True, eq=False)
class InputSet:
    """All x with lower <= x <= upper and A x <= b, within every ball."""

    lower: np.ndarray  # (n,)
    upper: np.ndarray  # (n,)
    rows: tuple[tuple[np.ndarray, float], ...] = ()
    balls: tuple[BallText, ...] = ()

    def text(self, names: Names) -> list[str]:
        """The set as VNN-LIB expressions, all of which hold in it.

        Raises:
            SpecError: it cannot be written.
        """
        linear = [row(names, a, "<=", b) for a, b in self.rows]
        round_ = [part for ball in self.balls for part in ball.text(names)]
        return box(names, self.lower, self.upper) + linear + round_


def _sum(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})"
