# SPDX-License-Identifier: Apache-2.0
"""Comparisons as exact linear rows, and rows as floats rounded outward."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from vnnverify.vnnlib.ast import Compare, Number, Term, Variable

__all__ = ["NonlinearTerm", "Row", "float_row", "rows_of"]

_LARGEST_EXACT = 1 << 53


class NonlinearTerm(Exception):
    """A product of variables, which a linear row cannot hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """Σ coefficients·variables <= bound, or < if strict."""

    coefficients: Mapping[Variable, Fraction]
    bound: Fraction
    strict: bool
    offset: int

    @property
    def kinds(self) -> set[str]:
        """Which of X and Y occur."""
        return {v.kind for v in self.coefficients}


def rows_of(comparison: Compare) -> list[Row]:
    """The rows of a comparison: one, or two for an equation.

    Raises:
        NonlinearTerm: it holds a product of variables.
    """
    terms: dict[Variable, Fraction] = {}
    constant = _collect(comparison.lhs, Fraction(1), terms) + _collect(comparison.rhs, Fraction(-1), terms)
    terms = {v: c for v, c in terms.items() if c}
    flipped = {v: -c for v, c in terms.items()}
    below = Row(terms, -constant, comparison.operator == "<", comparison.offset)
    above = Row(flipped, constant, comparison.operator == ">", comparison.offset)
    if comparison.operator == "=":
        return [below, above]
    return [below if comparison.operator.startswith("<") else above]


def _collect(term: Term, factor: Fraction, terms: dict[Variable, Fraction]) -> Fraction:
    """Add factor·term to `terms` and return its constant part."""
    if isinstance(term, Number):
        return factor * term.value
    if isinstance(term, Variable):
        terms[term] = terms.get(term, Fraction(0)) + factor
        return Fraction(0)
    if term.operator == "*":
        variable: Term | None = None
        for arg in term.args:
            inner: dict[Variable, Fraction] = {}
            constant = _collect(arg, Fraction(1), inner)
            if not any(inner.values()):
                factor *= constant
            elif variable is None:
                variable = arg
            else:
                raise NonlinearTerm
        return factor if variable is None else _collect(variable, factor, terms)
    total = Fraction(0)
    for position, arg in enumerate(term.args):
        minus = term.operator == "-" and (position > 0 or len(term.args) == 1)
        total += _collect(arg, -factor if minus else factor, terms)
    return total


def float_row(row: Row) -> tuple[dict[Variable, float], float] | None:
    """The row as floats that describe no smaller set: exact coefficients, bound rounded up.

    A row whose coefficients are no floats is scaled to whole numbers first; None if those need more
    than 53 bits.
    """
    scale = Fraction(1)
    if any(not _is_float(c) for c in row.coefficients.values()):
        scale = Fraction(math.lcm(*(c.denominator for c in row.coefficients.values())))
        if any(abs(c * scale) > _LARGEST_EXACT for c in row.coefficients.values()):
            return None
    return {v: float(c * scale) for v, c in row.coefficients.items()}, _round_up(row.bound * scale)


def _is_float(value: Fraction) -> bool:
    try:
        return Fraction(float(value)) == value
    except OverflowError:
        return False


def _round_up(value: Fraction) -> float:
    try:
        nearest = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.nextafter(math.inf, 0)
    return math.nextafter(nearest, math.inf) if Fraction(nearest) < value else nearest
