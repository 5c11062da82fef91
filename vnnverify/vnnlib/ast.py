# SPDX-License-Identifier: Apache-2.0
"""The syntax tree of a property. Numbers keep their text and are exact; leaves are shared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

__all__ = ["And", "Arithmetic", "Compare", "Declaration", "Expr", "Number", "Or", "Term", "Variable"]


class Number:
    """A decimal literal: its text, its exact value, and the floats next to it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Number({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def value(self) -> Fraction:
        """The exact value."""
        return Fraction(self.text)

    @cached_property
    def nearest(self) -> float:
        """The nearest float64; infinite if the literal is beyond its range."""
        return float(self.text)

    @cached_property
    def _side(self) -> int:
        """Where the exact value lies relative to `nearest`: −1 below, 0 equal, 1 above."""
        if math.isinf(self.nearest):
            return -1 if self.nearest > 0 else 1
        exact = Fraction(self.nearest)
        return (self.value > exact) - (self.value < exact)

    @cached_property
    def down(self) -> float:
        """The largest float64 that is not above the value."""
        return math.nextafter(self.nearest, -math.inf) if self._side < 0 else self.nearest

    @cached_property
    def up(self) -> float:
        """The smallest float64 that is not below the value."""
        return math.nextafter(self.nearest, math.inf) if self._side > 0 else self.nearest

    def against(self, x: float) -> int:
        """The sign of x − value, exactly."""
        if x != self.nearest:
            return 1 if x > self.nearest else -1
        return -self._side


@dataclass(frozen=True, slots=True)
class Variable:
    """X_index (an input) or Y_index (an output)."""

    kind: str  # "X" or "Y"
    index: int

    @property
    def name(self) -> str:
        """The name in the text."""
        return f"{self.kind}_{self.index}"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum, difference or product of terms; a difference of one term is its negation."""

    operator: str  # + - *
    args: tuple[Term, ...]


Term = Number | Variable | Arithmetic


@dataclass(frozen=True, slots=True)
class Compare:
    """lhs operator rhs. `offset` is the position in the text, for messages."""

    operator: str  # <= < >= > =
    lhs: Term
    rhs: Term
    offset: int


@dataclass(frozen=True, slots=True)
class And:
    """All of the arguments."""

    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the arguments."""

    args: tuple[Expr, ...]


Expr = Compare | And | Or


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declared variable and its sort."""

    name: str
    sort: str
    offset: int
