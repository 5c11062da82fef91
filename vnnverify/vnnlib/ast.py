# SPDX-License-Identifier: Apache-2.0
"""The syntax tree of a property. Numbers keep their text and are exact; equal leaves may be shared.

Trees may be thousands of levels deep, so they are walked with a stack and not by recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from vnnverify.vnnlib.number import Number

__all__ = [
    "And",
    "Arithmetic",
    "Compare",
    "Declaration",
    "Expr",
    "Number",
    "Or",
    "Term",
    "Variable",
    "fold",
    "rebuilt",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Variable:
    """X_index (an input) or Y_index (an output)."""

    kind: str  # "X" or "Y"
    index: int

    @property
    def name(self) -> str:
        """The name in a VNN-LIB 1.0 text."""
        return f"{self.kind}_{self.index}"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum, difference or product of terms; a difference of one term is its negation."""

    operator: str  # + - *
    args: tuple[Term, ...]


Term = Number | Variable | Arithmetic


@dataclass(frozen=True, slots=True)
class Compare:
    """lhs operator rhs. `offset` is where it first stands in the text, for messages."""

    operator: str  # <= < >= > = !=
    lhs: Term
    rhs: Term
    offset: int = field(default=0, compare=False)


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
    offset: int = field(default=0, compare=False)


def fold(term: Term, leaf: Callable[[Number | Variable], T], join: Callable[[Arithmetic, list[T]], T]) -> T:
    """The value of a term from the values of its leaves, joined from the inside out."""
    values: list[T] = []
    pending: list[tuple[Term, bool]] = [(term, False)]
    while pending:
        current, parts_done = pending.pop()
        if not isinstance(current, Arithmetic):
            values.append(leaf(current))
        elif parts_done:
            count = len(current.args)
            values[-count:] = [join(current, values[-count:])]
        else:
            pending.append((current, True))
            pending.extend((arg, False) for arg in reversed(current.args))
    return values[0]


def rebuilt(expr: Expr, leaf: Callable[[Compare], Expr]) -> Expr:
    """The expression with another one in place of each comparison."""
    values: list[Expr] = []
    pending: list[tuple[Expr, bool]] = [(expr, False)]
    while pending:
        current, parts_done = pending.pop()
        if isinstance(current, Compare):
            values.append(leaf(current))
        elif parts_done:
            first = len(values) - len(current.args)
            values[first:] = [type(current)(tuple(values[first:]))]
        else:
            pending.append((current, True))
            pending.extend((arg, False) for arg in reversed(current.args))
    return values[0]
