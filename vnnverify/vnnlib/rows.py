# SPDX-License-Identifier: Apache-2.0
"""What one comparison states: a bound of one input, or linear rows, as floats rounded outward."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from fractions import Fraction

from vnnverify.vnnlib.ast import Arithmetic, Compare, Number, Term, Variable, fold
from vnnverify.vnnlib.point import combine

__all__ = [
    "Bound",
    "FloatRow",
    "InexactCoefficient",
    "NonlinearTerm",
    "Statement",
    "linear_terms",
    "read_comparison",
    "round_up",
    "state",
]

_LARGEST_EXACT = 1 << 53
_LARGEST = sys.float_info.max
_FLIPPED = {"<=": ">=", "<": ">", ">=": "<=", ">": "<", "=": "="}


class NonlinearTerm(Exception):
    """A product of variables, which a linear row cannot hold."""


class InexactCoefficient(Exception):
    """A row whose coefficients are no floats, whatever it is scaled by."""


@dataclass(frozen=True, slots=True)
class Bound:
    """lower <= X_index <= upper, rounded outward; infinite where nothing is said. An end beyond the range of
    float64 is the last number in it: no input is beyond.

    Of an input of whole numbers the ends are the first whole numbers inside, then rounded outward to float64.
    """

    index: int
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class FloatRow:
    """Σ coefficients·variables <= bound, or < if strict: exact coefficients, bound rounded up."""

    variables: tuple[Variable, ...]
    coefficients: tuple[float, ...]
    bound: float
    strict: bool


Statement = Bound | tuple[FloatRow, ...] | bool
"""A bound of an input; rows; or, where no variable is left, whether the comparison is true."""


def read_comparison(comparison: Compare, whole: Container[int] = ()) -> Statement:
    """What a comparison states.

    Args:
        whole: the inputs that hold whole numbers only.

    Raises:
        NonlinearTerm: it holds a product of variables.
        InexactCoefficient: its coefficients cannot be written as floats.
    """
    lhs, rhs, operator = comparison.lhs, comparison.rhs, comparison.operator
    if isinstance(lhs, Number):
        lhs, rhs, operator = rhs, lhs, _FLIPPED[operator]
    if isinstance(lhs, Variable) and isinstance(rhs, Number):
        below = rhs.up if operator != ">=" and operator != ">" else math.inf
        above = rhs.down if operator != "<=" and operator != "<" else -math.inf
        if lhs.kind == "X":
            if math.isinf(rhs.nearest) and _beyond(operator, rhs.nearest):
                return False
            return _bound(lhs.index, above, below, operator, rhs.side == 0, whole)
        return _simple_rows((lhs,), (1.0,), below, -above, operator)
    if isinstance(lhs, Variable) and isinstance(rhs, Variable) and lhs != rhs:
        return _simple_rows((lhs, rhs), (1.0, -1.0), 0.0, 0.0, operator)
    return _general(comparison, whole)


def _bound(
    index: int, lower: float, upper: float, operator: str, exact: bool, whole: Container[int]
) -> Bound:
    """The bound of an input with these ends, rounded outward.

    Args:
        exact: whether the finite ends are the text's, not rounded.
    """
    if operator not in (">=", ">"):
        upper = min(upper, _LARGEST)
    if operator not in ("<=", "<"):
        lower = max(lower, -_LARGEST)
    if index not in whole:
        return Bound(index, lower, upper)
    first, last = _rounded(lower, math.ceil), _rounded(upper, math.floor)
    if max(abs(end) for end in (first, last, 0.0) if math.isfinite(end)) < _LARGEST_EXACT:
        # an end that was rounded to a whole number lies beyond it, and so does all that a strict one allows
        first += first == lower and (not exact or operator == ">")
        last -= last == upper and (not exact or operator == "<")
    return Bound(index, first, last)


def _beyond(operator: str, bound: float) -> bool:
    """Whether no input compares so with a number that is infinite as a float."""
    return operator == "=" or (operator in (">=", ">")) == (bound > 0)


def _rounded(end: float, rounding: Callable[[float], int]) -> float:
    return float(rounding(end)) if math.isfinite(end) else end


def _simple_rows(
    variables: tuple[Variable, ...],
    coefficients: tuple[float, ...],
    below: float,
    above: float,
    operator: str,
) -> tuple[FloatRow, ...] | bool:
    """The term against its upper bound `below`, its negation against `above`, or both.

    What is rounded up to infinity leaves nothing out; True where that is all.
    """
    rows = []
    if operator != ">=" and operator != ">" and below < math.inf:
        rows.append(FloatRow(variables, coefficients, below, operator == "<"))
    if operator != "<=" and operator != "<" and above < math.inf:
        rows.append(FloatRow(variables, tuple(-c for c in coefficients), above, operator == ">"))
    return tuple(rows) or True


def _general(comparison: Compare, whole: Container[int]) -> Statement:
    terms, constant = linear_terms(comparison)
    return state(terms, constant, comparison.operator, whole)


def state(
    terms: Mapping[Variable, Fraction], constant: Fraction, operator: str, whole: Container[int] = ()
) -> Statement:
    """What Σ terms + constant `operator` 0 states.

    Args:
        whole: the inputs that hold whole numbers only.

    Raises:
        InexactCoefficient: the coefficients cannot be written as floats.
    """
    terms = {v: c for v, c in terms.items() if c}
    if not terms:
        return {
            "<=": constant <= 0,
            "<": constant < 0,
            ">=": constant >= 0,
            ">": constant > 0,
            "=": constant == 0,
        }[operator]
    if len(terms) == 1:
        ((variable, coefficient),) = terms.items()
        if coefficient < 0:
            operator = _FLIPPED[operator]
        ratio = -constant / coefficient
        up, down = round_up(ratio), -round_up(-ratio)
        below = up if operator != ">=" and operator != ">" else math.inf
        above = down if operator != "<=" and operator != "<" else -math.inf
        if variable.kind == "X":
            if abs(ratio) > _LARGEST and _beyond(operator, float(ratio > 0) - 0.5):
                return False
            return _bound(variable.index, above, below, operator, up == down, whole)
        return _simple_rows((variable,), (1.0,), below, -above, operator)
    scale = _scale(terms)
    variables, coefficients = tuple(terms), tuple(float(c * scale) for c in terms.values())
    below, above = round_up(-constant * scale), round_up(constant * scale)
    return _simple_rows(variables, coefficients, below, above, operator)


def linear_terms(comparison: Compare) -> tuple[dict[Variable, Fraction], Fraction]:
    """lhs − rhs as coefficients, zeros among them, and a constant.

    Raises:
        NonlinearTerm: it holds a product of variables.
    """
    terms: dict[Variable, Fraction] = {}
    constant = _collect(comparison.lhs, Fraction(1), terms) + _collect(comparison.rhs, Fraction(-1), terms)
    return terms, constant


def _collect(term: Term, factor: Fraction, terms: dict[Variable, Fraction]) -> Fraction:
    """Add factor·term to `terms` and return its constant part."""
    constants: dict[int, Fraction | None] = {}  # id of an arithmetic node -> its value, if it has no variable

    def join(node: Arithmetic, parts: list[Fraction | None]) -> Fraction | None:
        known = [part for part in parts if part is not None]
        constants[id(node)] = combine(node.operator, known) if len(known) == len(parts) else None
        return constants[id(node)]

    fold(term, lambda leaf: leaf.value if isinstance(leaf, Number) else None, join)
    total = Fraction(0)
    pending: list[tuple[Term, Fraction]] = [(term, factor)]
    while pending:
        current, weight = pending.pop()
        if isinstance(current, Number):
            total += weight * current.value
        elif isinstance(current, Variable):
            terms[current] = terms.get(current, Fraction(0)) + weight
        elif current.operator == "*":
            variable: list[Term] = []
            for arg in current.args:
                value = arg.value if isinstance(arg, Number) else constants.get(id(arg))
                if value is None:
                    variable.append(arg)
                else:
                    weight *= value
            if len(variable) > 1:
                raise NonlinearTerm
            if variable:
                pending.append((variable[0], weight))
            else:
                total += weight
        else:
            for position, arg in reversed(list(enumerate(current.args))):
                minus = current.operator == "-" and (position > 0 or len(current.args) == 1)
                pending.append((arg, -weight if minus else weight))
    return total


def _scale(terms: Mapping[Variable, Fraction]) -> Fraction:
    """A factor that makes every coefficient a float: one, or what makes them whole numbers."""
    if all(_is_float(c) for c in terms.values()):
        return Fraction(1)
    whole = math.lcm(*(c.denominator for c in terms.values()))
    common = math.gcd(*(int(c * whole) for c in terms.values()))
    scale = Fraction(whole, common)
    if any(abs(c * scale) > _LARGEST_EXACT for c in terms.values()):
        raise InexactCoefficient
    return scale


def _is_float(value: Fraction) -> bool:
    try:
        return Fraction(float(value)) == value
    except OverflowError:
        return False


def round_up(value: Fraction) -> float:
    """The smallest float64 that is not below the value."""
    try:
        nearest = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.nextafter(math.inf, 0)
    return math.nextafter(nearest, math.inf) if Fraction(nearest) < value else nearest
