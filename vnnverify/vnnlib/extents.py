# SPDX-License-Identifier: Apache-2.0
"""Between which numbers rows over the same terms hold what they speak of, exactly: rows that contradict each
other two by two are found before anything is multiplied out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from vnnverify.vnnlib.ast import Variable
from vnnverify.vnnlib.rows import FloatRow

__all__ = ["Extents", "narrowed"]

Direction = tuple[tuple[tuple[Variable, Fraction], ...], bool]
"""A sum divided by the size of its first coefficient, that made positive; and whether it was."""

Extents = Mapping[Direction, tuple[Fraction, bool]]
"""For each direction what the sum (its negation, where the last is false) is at most, and whether less."""


def narrowed(known: Extents, rows: Iterable[FloatRow]) -> Extents | None:
    """What is known with these rows as well; None if two rows contradict each other, so that nothing is left.

    Bounds of rows are rounded up, so that what they leave out is left out by the text.
    """
    found = dict(known)
    for row in rows:
        if math.isinf(row.bound):
            continue
        pairs = sorted(zip(row.variables, row.coefficients, strict=True), key=_in_order)
        first = Fraction(pairs[0][1])
        terms, positive = tuple((v, Fraction(c) / first) for v, c in pairs), first > 0
        most, strict = Fraction(row.bound) / abs(first), row.strict
        key, opposite = (terms, positive), (terms, not positive)
        before = found.get(key)
        if before is None or most < before[0] or (most == before[0] and strict):
            found[key] = most, strict
        least = found.get(opposite)
        if least is not None:
            room = found[key][0] + least[0]
            if room < 0 or (room == 0 and (found[key][1] or least[1])):
                return None
    return found


def _in_order(pair: tuple[Variable, float]) -> tuple[str, int]:
    return pair[0].kind, pair[0].index
