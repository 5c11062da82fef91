# SPDX-License-Identifier: Apache-2.0
"""Balls that a text asks for: a sum of squares of one input each, less a number, is at most another.

a (X_0 − c_0)² + a (X_1 − c_1)² + …  <=  b    is the ball around c with the radius √(b / a)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from vnnverify.query import Ball
from vnnverify.vnnlib.rows import FloatRow
from vnnverify.vnnlib.terms import NewTerm, Power

__all__ = ["ball_of", "round_rows"]


def round_rows(rows: Iterable[FloatRow], terms: Sequence[NewTerm]) -> tuple[FloatRow, ...]:
    """Those of the rows that keep some inputs in a ball."""
    return tuple(row for row in rows if _centre(row, terms) is not None)


def ball_of(rows: Iterable[FloatRow], terms: Sequence[NewTerm], lower: Tensor, upper: Tensor) -> Ball | None:
    """The ball, cut with the box [lower, upper] (n,), that one of the rows keeps the inputs in, its numbers
    rounded outward. Inputs that the row leaves out have one value in the box, which the centre has too."""
    for row in rows:
        found = _centre(row, terms)
        if found is None:
            continue
        centre = lower.clone()
        moved = Fraction(0)
        for index, number in found.items():
            centre[index] = near = float(number)
            moved += abs(Fraction(near) - number)
        free = (lower != upper).nonzero()[:, 0].tolist()
        if found.keys() >= set(free) and bool(torch.isfinite(centre).all()):
            return Ball(2, centre, _radius(row, moved), lower, upper)
    return None


def _centre(row: FloatRow, terms: Sequence[NewTerm]) -> dict[int, Fraction] | None:
    """The centre by input, if the row is a sum of squares as above."""
    centre: dict[int, Fraction] = {}
    first = row.coefficients[0] if row.coefficients else 0.0
    if first <= 0 or row.variables[0].kind != "Z" or not 0 <= row.bound < math.inf:
        return None
    for variable, coefficient in zip(row.variables, row.coefficients, strict=True):
        term = terms[variable.index] if variable.kind == "Z" else None
        if coefficient != first or not isinstance(term, Power) or term.exponent != 2:
            return None
        if len(term.form.terms) != 1:
            return None
        ((inner, factor),) = term.form.terms
        if inner.kind != "X" or factor != 1 or inner.index in centre:
            return None
        centre[inner.index] = -term.form.constant
    return centre


def _radius(row: FloatRow, moved: Fraction) -> float:
    """The square root of bound over coefficient, and by how much the centre was moved at most: rounded up."""
    square = Fraction(row.bound) / Fraction(row.coefficients[0])
    root = math.sqrt(square)
    while Fraction(root) ** 2 < square:
        root = math.nextafter(root, math.inf)
    whole = Fraction(root) + moved
    radius = float(whole)
    return radius if Fraction(radius) >= whole else math.nextafter(radius, math.inf)
