# SPDX-License-Identifier: Apache-2.0
"""What a row over variables cannot hold, as terms of its own: products, sums with inexact coefficients, and
disjunctions.

A comparison becomes linear in its variables and in such terms, which `exposure` has the graph compute.
Factors stay as they are written, (x − y)·(x − y) a square: multiplied out they would be bounded worse.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from vnnverify.vnnlib.ast import Arithmetic, Compare, Number, Term, Variable, fold
from vnnverify.vnnlib.rows import FloatRow, InexactCoefficient, Statement, state

__all__ = ["CoefficientOutOfRange", "Form", "Least", "NewTerm", "Power", "Product", "Terms"]


_SMALLEST, _LARGEST = Fraction(sys.float_info.min), Fraction(sys.float_info.max)


class CoefficientOutOfRange(Exception):
    """A comparison has coefficients that float64 cannot hold, however it is scaled."""

    def __init__(self, offset: int) -> None:
        super().__init__("coefficients beyond the range of float64, or too far apart for it; scale them")
        self.offset = offset  # of the comparison in the text


@dataclass(frozen=True, slots=True)
class Form:
    """Σ coefficient·variable + constant. Equal sums are equal."""

    terms: tuple[tuple[Variable, Fraction], ...]  # in the order of kinds and indices, without zeros
    constant: Fraction = Fraction(0)

    @classmethod
    def of(cls, terms: Mapping[Variable, Fraction], constant: Fraction) -> Form:
        """From coefficients by variable."""
        ordered = sorted(
            ((v, c) for v, c in terms.items() if c), key=lambda pair: (pair[0].kind, pair[0].index)
        )
        return cls(tuple(ordered), constant)

    @property
    def is_variable(self) -> bool:
        """Whether it is one variable and nothing else."""
        return not self.constant and len(self.terms) == 1 and self.terms[0][1] == 1

    @property
    def numbers(self) -> Iterator[Fraction]:
        """The constant and the coefficients."""
        yield self.constant
        yield from (coefficient for _, coefficient in self.terms)

    def scaled(self, factor: Fraction) -> Form:
        """The form times a factor other than zero."""
        return Form(tuple((v, c * factor) for v, c in self.terms), self.constant * factor)


@dataclass(frozen=True, slots=True)
class Power:
    """A form to a whole exponent; 1 for the form itself."""

    form: Form
    exponent: int


@dataclass(frozen=True, slots=True)
class Product:
    """A form times another one."""

    left: Form
    right: Form


@dataclass(frozen=True, slots=True)
class Least:
    """The least, over groups of forms, of the largest form of each: not positive just where some group has no
    positive form."""

    groups: tuple[tuple[Form, ...], ...]


NewTerm = Power | Product | Least


@dataclass(slots=True)
class Terms:
    """The terms met so far; number k is the variable Z_k. A term may use those before it."""

    found: list[NewTerm] = field(default_factory=list)
    _known: dict[NewTerm, Variable] = field(default_factory=dict)

    def read(self, comparison: Compare, whole: Container[int] = ()) -> Statement:
        """What a comparison states, in its variables and in new terms; `whole` inputs hold whole numbers.

        Raises:
            CoefficientOutOfRange: it cannot be computed in float64.
        """
        before = len(self.found)
        statement = self._read(comparison, whole)
        numbers = (n for term in self.found[before:] for form in _forms(term) for n in form.numbers)
        if any(n and not _SMALLEST <= abs(n) <= _LARGEST for n in numbers):
            raise CoefficientOutOfRange(comparison.offset)
        return statement

    def _read(self, comparison: Compare, whole: Container[int]) -> Statement:
        difference = self.difference(comparison)
        try:
            return state(dict(difference.terms), difference.constant, comparison.operator, whole)
        except InexactCoefficient:
            most = max(abs(c) for _, c in difference.terms)
            if not _SMALLEST <= most <= _LARGEST:
                difference = difference.scaled(1 / most)
            sum_of_all = self._variable(Power(Form(difference.terms), 1))
            return state({sum_of_all: Fraction(1)}, difference.constant, comparison.operator)

    def difference(self, comparison: Compare) -> Form:
        """Its left side less its right side, in its variables and in new terms."""
        return self._sum([self._form(comparison.lhs), self._form(comparison.rhs)], [1, -1])

    def either(self, groups: Sequence[Sequence[FloatRow]]) -> FloatRow:
        """A row that holds just where all rows of some group do; where only some of them are strict, also at
        ends that a strict one excludes. There is a group, each has a row, and their bounds are finite."""
        forms = (tuple(dict.fromkeys(_difference(row) for row in group)) for group in groups)
        least = self._variable(Least(tuple(dict.fromkeys(forms))))
        return FloatRow((least,), (1.0,), 0.0, all(row.strict for group in groups for row in group))

    def _form(self, term: Term) -> Form:
        return fold(term, _leaf, self._join)

    def _join(self, node: Arithmetic, parts: list[Form]) -> Form:
        if node.operator == "*":
            return self._times(parts)
        minus = node.operator == "-"
        first = -1 if minus and len(parts) == 1 else 1
        return self._sum(parts, [first, *[-1 if minus else 1] * (len(parts) - 1)])

    def _sum(self, parts: Sequence[Form], signs: Sequence[int]) -> Form:
        terms: dict[Variable, Fraction] = {}
        constant = Fraction(0)
        for part, sign in zip(parts, signs, strict=True):
            constant += sign * part.constant
            for variable, coefficient in part.terms:
                terms[variable] = terms.get(variable, Fraction(0)) + sign * coefficient
        return Form.of(terms, constant)

    def _times(self, parts: Sequence[Form]) -> Form:
        """The product: constant factors in front, equal factors as a power, the rest from the left."""
        factor = Fraction(1)
        powers: dict[Form, int] = {}
        for part in parts:
            if not part.terms:
                factor *= part.constant
                continue
            scale = part.terms[0][1]
            factor *= scale
            form = part.scaled(1 / scale)
            powers[form] = powers.get(form, 0) + 1
        if not factor or not powers:
            return Form((), factor)
        product: Form | None = None
        for form, exponent in powers.items():
            new = form if exponent == 1 else _single(self._variable(Power(form, exponent)))
            product = new if product is None else _single(self._variable(Product(product, new)))
        assert product is not None
        return product.scaled(factor)

    def _variable(self, term: NewTerm) -> Variable:
        known = self._known.get(term)
        if known is None:
            known = self._known[term] = Variable("Z", len(self.found))
            self.found.append(term)
        return known


def _forms(term: NewTerm) -> Iterator[Form]:
    """What a term is made of."""
    if isinstance(term, Power):
        yield term.form
    elif isinstance(term, Product):
        yield from (term.left, term.right)
    else:
        yield from (form for group in term.groups for form in group)


def _single(variable: Variable) -> Form:
    return Form(((variable, Fraction(1)),))


def _difference(row: FloatRow) -> Form:
    """What a row says is not positive."""
    terms = dict(zip(row.variables, map(Fraction, row.coefficients), strict=True))
    return Form.of(terms, -Fraction(row.bound))


def _leaf(leaf: Number | Variable) -> Form:
    return Form((), leaf.value) if isinstance(leaf, Number) else _single(leaf)
