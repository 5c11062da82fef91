# SPDX-License-Identifier: Apache-2.0
"""Numbers and comparisons as VNN-LIB text, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, localcontext

import numpy as np

__all__ = ["Names", "all_of", "any_of", "box", "exact", "exact_square", "numbered", "row"]

MAX_DIGITS = 4000
"""Digits that the square of a float64 has at most, and more."""
Names = Callable[[int], str]
"""What the text calls the variable of an index."""


def numbered(kind: str) -> Names:
    """The names kind_0, kind_1, … of VNN-LIB 1.0."""
    return lambda index: f"{kind}_{index}"


def exact(value: float) -> str:
    """The decimal text of a finite float64, without an exponent: the short one if that is exactly it, else
    all of its digits."""
    short = repr(float(value))
    whole = Decimal(float(value))
    if Decimal(short) == whole and "e" not in short:
        return short
    text = format(whole, "f")
    return text if "." in text else f"{text}.0"


def exact_square(value: float) -> str:
    """The decimal text of the square of a finite float64."""
    with localcontext(prec=MAX_DIGITS):
        text = format(Decimal(value) ** 2, "f")
    return text if "." in text else f"{text}.0"


def row(names: Names, coefficients: np.ndarray, operator: str, bound: float) -> str:
    """The comparison `coefficients · variables  operator  bound`."""
    places = np.flatnonzero(coefficients).tolist()
    if len(places) == 2 and bound == 0.0 and sorted(coefficients[places].tolist()) == [-1.0, 1.0]:
        left = places[int(coefficients[places[0]] < 0)]
        right = places[int(coefficients[places[0]] > 0)]
        return f"({operator} {names(left)} {names(right)})"
    terms = [_term(names(index), float(coefficients[index])) for index in places]
    total = terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})" if terms else "0.0"
    return f"({operator} {total} {exact(bound)})"


def box(names: Names, lower: np.ndarray, upper: np.ndarray) -> list[str]:
    """Two bounds for each variable."""
    bounds = []
    for index, (low, high) in enumerate(zip(lower.tolist(), upper.tolist(), strict=True)):
        bounds += [f"(>= {names(index)} {exact(low)})", f"(<= {names(index)} {exact(high)})"]
    return bounds


def _term(name: str, coefficient: float) -> str:
    return name if coefficient == 1.0 else f"(* {exact(coefficient)} {name})"


def all_of(parts: Sequence[str]) -> str:
    """(and …), or the part itself if there is one."""
    return parts[0] if len(parts) == 1 else f"(and {' '.join(parts)})"


def any_of(parts: Iterable[str]) -> str:
    """(or …), a part per line."""
    lines = list(parts)
    return lines[0] if len(lines) == 1 else "(or\n  " + "\n  ".join(lines) + "\n)"
