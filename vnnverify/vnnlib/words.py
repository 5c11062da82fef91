# SPDX-License-Identifier: Apache-2.0
"""A property told in one sentence, for people."""

from __future__ import annotations

from collections.abc import Sequence

from vnnverify.vnnlib.ast import Arithmetic, Compare, Expr, Number, Or, Variable, fold
from vnnverify.vnnlib.property import ParsedProperty

__all__ = ["in_words"]

LISTED = 6
"""Assertions about outputs, and parts of a conjunction or disjunction, that are told one by one."""
DEEPEST = 3
"""Nested conjunctions and disjunctions that are told; what lies deeper is only mentioned."""
FEW_BOUNDS = 2
"""Bounds on inputs that are told one by one in a conjunction with others."""
LONGEST = 160
"""Characters of a comparison that is told."""

_SIGNS = {"<=": "≤", ">=": "≥", "=": "=", "<": "<", ">": ">", "!=": "≠"}


def in_words(prop: ParsedProperty) -> str:
    """What must not happen, as `no input within the 4 bounds gives Y_0 ≥ 1.1 and Y_1 ≥ Y_0`.

    Only for reading: what a text means is settled by `normalize`.
    """
    others = [a for a in prop.assertions if not _is_bound(a)]
    bounds = len(prop.assertions) - len(others)
    region = f"no input within the {bounds} bounds" if bounds > 1 else "no input"
    if not others:
        return f"there is {region}"
    return f"{region} gives {_joined(others, ' and ', prop, DEEPEST)}"


def _is_bound(expr: Expr) -> bool:
    """Whether it bounds one input by a number."""
    if not isinstance(expr, Compare):
        return False
    sides = expr.lhs, expr.rhs
    inputs = [side for side in sides if isinstance(side, Variable) and side.kind == "X"]
    return len(inputs) == 1 and any(isinstance(side, Number) for side in sides)


def _joined(every: Sequence[Expr], by: str, prop: ParsedProperty, depth: int) -> str:
    told = [_expression(part, prop, depth - 1) for part in every[:LISTED]]
    more = [f"{len(every) - LISTED} more"] if len(every) > LISTED else []
    return by.join([*told, *more])


def _expression(expr: Expr, prop: ParsedProperty, depth: int) -> str:
    if isinstance(expr, Compare):
        text = f"{_term(expr.lhs, prop)} {_SIGNS[expr.operator]} {_term(expr.rhs, prop)}"
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    if len(expr.args) == 1:
        return _expression(expr.args[0], prop, depth)
    if depth <= 0:
        return "(…)"
    if isinstance(expr, Or):
        return f"({_joined(expr.args, ' or ', prop, depth)})"
    others = [part for part in expr.args if not _is_bound(part)]
    bounds = len(expr.args) - len(others)
    if bounds <= FEW_BOUNDS:
        return f"({_joined(expr.args, ' and ', prop, depth)})"
    within = f"within {bounds} bounds on inputs"
    return f"({within}, {_joined(others, ' and ', prop, depth)})" if others else f"({within})"


def _term(term: Number | Variable | Arithmetic, prop: ParsedProperty) -> str:
    def leaf(value: Number | Variable) -> str:
        return prop.name(value) if isinstance(value, Variable) else f"{value.nearest:.6g}"

    def join(arithmetic: Arithmetic, parts: list[str]) -> str:
        if len(parts) == 1:
            return f"-{parts[0]}" if arithmetic.operator == "-" else parts[0]
        return "(" + f" {arithmetic.operator} ".join(parts) + ")"

    return (
        fold(term, leaf, join).removeprefix("(").removesuffix(")") if _plain(term) else fold(term, leaf, join)
    )


def _plain(term: Number | Variable | Arithmetic) -> bool:
    """Whether the outermost brackets of a term are its own."""
    return isinstance(term, Arithmetic) and len(term.args) > 1
