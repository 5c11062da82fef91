# SPDX-License-Identifier: Apache-2.0
"""A checked property: every variable declared, numbered without gaps, of sort Real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vnnverify.errors import SpecError
from vnnverify.files import read_bytes
from vnnverify.vnnlib.ast import And, Arithmetic, Compare, Expr, Number, Or, Term, Variable
from vnnverify.vnnlib.parse import Script, make_leaf, parse, place

__all__ = ["Property", "load_property", "parse_property"]


@dataclass(frozen=True, slots=True, eq=False)
class Property:
    """The conjunction of `assertions` over inputs X_0 … and outputs Y_0 …: what must not happen."""

    inputs: int
    outputs: int
    assertions: tuple[Expr, ...]
    source: str
    text: str

    def line(self, offset: int) -> int:
        """The line, from 1, of a position in the text."""
        return place(self.text, offset)[0]

    def error(self, message: str, offset: int | None = None) -> SpecError:
        """An error at a position of the text, or about the text as a whole."""
        line, column = (0, 0) if offset is None else place(self.text, offset)
        return SpecError(message, line=line, column=column, source=self.source)

    def holds_at(
        self, x: Sequence[float], y: Sequence[float], rounded: frozenset[int] = frozenset()
    ) -> tuple[bool, str]:
        """Whether all assertions hold at (x, y), exactly: floats are rationals, literals decimals.

        Args:
            rounded: inputs whose bounds hold no number of the model's type: a bound X_i ∘ c on them
                is judged against c rounded to float32, as the model would read it.

        Returns:
            The answer, and if it is no, the first assertion that fails.
        """
        point = _Point(x, y, rounded)
        for assertion in self.assertions:
            if not point.satisfies(assertion):
                return False, f"the assertion in line {self.line(_first_offset(assertion))} does not hold"
        return True, ""


def _first_offset(expr: Expr) -> int:
    while not isinstance(expr, Compare):
        expr = expr.args[0]
    return expr.offset


class _Point:
    def __init__(self, x: Sequence[float], y: Sequence[float], rounded: frozenset[int]) -> None:
        self.values = {"X": x, "Y": y}
        self.rounded = rounded

    def satisfies(self, expr: Expr) -> bool:
        if isinstance(expr, And):
            return all(self.satisfies(arg) for arg in expr.args)
        if isinstance(expr, Or):
            return any(self.satisfies(arg) for arg in expr.args)
        return _holds(expr.operator, self.sign(expr.lhs, expr.rhs))

    def sign(self, lhs: Term, rhs: Term) -> int:
        """The sign of lhs − rhs."""
        if isinstance(lhs, Variable) and isinstance(rhs, Number):
            return self.against(lhs, rhs)
        if isinstance(lhs, Number) and isinstance(rhs, Variable):
            return -self.against(rhs, lhs)
        if isinstance(lhs, Variable) and isinstance(rhs, Variable):
            a, b = (self.values[v.kind][v.index] for v in (lhs, rhs))
            return (a > b) - (a < b)
        difference = self.value(lhs) - self.value(rhs)
        return (difference > 0) - (difference < 0)

    def against(self, variable: Variable, number: Number) -> int:
        x = self.values[variable.kind][variable.index]
        if variable.kind == "X" and variable.index in self.rounded:
            bound = float(np.float32(number.nearest))
            return (x > bound) - (x < bound)
        return number.against(x)

    def value(self, term: Term) -> Fraction:
        if isinstance(term, Number):
            return term.value
        if isinstance(term, Variable):
            return Fraction(self.values[term.kind][term.index])
        parts = [self.value(arg) for arg in term.args]
        if term.operator == "*":
            product = Fraction(1)
            for part in parts:
                product *= part
            return product
        if term.operator == "+":
            return sum(parts, Fraction(0))
        return -parts[0] if len(parts) == 1 else parts[0] - sum(parts[1:], Fraction(0))


def _holds(operator: str, sign: int) -> bool:
    return {"<=": sign <= 0, "<": sign < 0, ">=": sign >= 0, ">": sign > 0, "=": sign == 0}[operator]


def load_property(path: str) -> Property:
    """Read a VNN-LIB 1.0 file, plain or gzipped.

    Raises:
        FileError: it cannot be read.
        SpecError: it is malformed.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError("not UTF-8 text", line=line, column=1, source=str(path)) from None
    return parse_property(text, str(path))


def parse_property(text: str, source: str = "") -> Property:
    """Read and check VNN-LIB 1.0 text.

    Raises:
        SpecError: a syntax error, an undeclared, duplicate or badly numbered variable, an unknown sort.
    """
    script = parse(text, source)
    text = text.removeprefix("\ufeff")
    counts = _declared(script, text, source)
    _check_variables(script, counts, text, source)
    if not script.assertions:
        raise SpecError("no (assert …) found; an empty property is true everywhere", source=source)
    return Property(counts["X"], counts["Y"], script.assertions, source, text)


def _declared(script: Script, text: str, source: str) -> dict[str, int]:
    seen: dict[str, int] = {}
    indices: dict[str, list[int]] = {"X": [], "Y": []}
    for declaration in script.declarations:
        line, column = place(text, declaration.offset)
        leaf = make_leaf(declaration.name)
        if not isinstance(leaf, Variable):
            message = f"variable {declaration.name!r}: inputs are called X_0, X_1, …, outputs Y_0, Y_1, …"
            raise SpecError(message, line=line, column=column, source=source)
        if declaration.sort != "Real":
            message = f"{declaration.name}: sort {declaration.sort!r} is not supported; use Real"
            raise SpecError(message, line=line, column=column, source=source)
        if declaration.name in seen:
            message = f"{declaration.name} is declared twice"
            raise SpecError(message, line=line, column=column, source=source)
        seen[declaration.name] = declaration.offset
        indices[leaf.kind].append(leaf.index)
    for kind, found in indices.items():
        missing = set(range(len(found))) - set(found)
        if missing:
            raise SpecError(
                f"{kind}_{min(missing)} is not declared, but {kind}_{max(found)} is", source=source
            )
        if not found:
            raise SpecError(f"no variable {kind}_0 is declared", source=source)
    return {kind: len(found) for kind, found in indices.items()}


def _check_variables(script: Script, counts: dict[str, int], text: str, source: str) -> None:
    """Every variable used is declared. Leaves are shared, so identities are checked once each."""
    known: set[int] = set()
    stack: list[tuple[Expr | Term, int]] = [(a, 0) for a in reversed(script.assertions)]
    while stack:
        item, offset = stack.pop()
        if isinstance(item, Compare):
            for side in (item.lhs, item.rhs):
                if id(side) not in known:
                    stack.append((side, item.offset))
        elif isinstance(item, And | Or | Arithmetic):
            stack.extend((arg, offset) for arg in reversed(item.args))
        elif id(item) not in known:
            known.add(id(item))
            if isinstance(item, Variable) and item.index >= counts[item.kind]:
                line, column = place(text, offset)
                message = f"variable {item.name} is not declared; add (declare-const {item.name} Real)"
                raise SpecError(message, line=line, column=column, source=source)
