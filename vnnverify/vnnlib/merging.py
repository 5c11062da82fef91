# SPDX-License-Identifier: Apache-2.0
"""Inputs that a property sets equal become one variable: exact, and tighter than two with a constraint."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from vnnverify.vnnlib.ast import Arithmetic, Compare, Number, Term, Variable, fold, rebuilt
from vnnverify.vnnlib.disjuncts import conjuncts
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.rows import NonlinearTerm, linear_terms

__all__ = ["merge_equal_inputs"]

_EQUALITY = re.compile(r"\(\s*==?[\s(]")


def merge_equal_inputs(prop: ParsedProperty, types: Sequence[str]) -> ParsedProperty:
    """The property with one variable X for all inputs that its assertions set equal, if there are any.

    Only inputs of one element type are merged, and only by assertions that hold in every disjunct. The
    variables are numbered anew; `columns` says which of them each declared input element is.

    Args:
        types: the element type, in its model, of each declared input element.
    """
    if prop.text and not _EQUALITY.search(prop.text):
        return prop
    parent = list(range(prop.inputs))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    found = False
    for expr, _ in conjuncts(prop.assertions):
        pair = _equal_inputs(expr) if isinstance(expr, Compare) else None
        if pair is not None and types[pair[0]] == types[pair[1]]:
            a, b = sorted(map(root, pair))
            parent[b] = a
            found = True
    if not found:
        return prop
    numbers: dict[int, int] = {}
    columns = tuple(numbers.setdefault(root(k), len(numbers)) for k in range(prop.inputs))
    renamed = _Renaming([Variable("X", column) for column in columns])
    assertions = tuple(rebuilt(expr, renamed) for expr in prop.assertions)
    return dataclasses.replace(prop, inputs=len(numbers), assertions=assertions, columns=columns)


def _equal_inputs(comparison: Compare) -> tuple[int, int] | None:
    """The two inputs that a comparison sets equal."""
    if comparison.operator != "=":
        return None
    try:
        terms, constant = linear_terms(comparison)
    except NonlinearTerm:
        return None
    used = [(v, c) for v, c in terms.items() if c]
    if constant or len(used) != 2 or used[0][1] != -used[1][1] or any(v.kind != "X" for v, _ in used):
        return None
    return used[0][0].index, used[1][0].index


class _Renaming:
    """Comparisons with other variables X."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._variables = variables

    def __call__(self, compare: Compare) -> Compare:
        lhs, rhs = (fold(side, self._leaf, _joined) for side in (compare.lhs, compare.rhs))
        return Compare(compare.operator, lhs, rhs, compare.offset)

    def _leaf(self, term: Number | Variable) -> Term:
        if isinstance(term, Variable) and term.kind == "X":
            return self._variables[term.index]
        return term


def _joined(node: Arithmetic, parts: list[Term]) -> Term:
    return Arithmetic(node.operator, tuple(parts))
