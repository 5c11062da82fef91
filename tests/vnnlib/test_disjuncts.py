# SPDX-License-Identifier: Apache-2.0
"""The disjunctive normal form means what the tree means, and refuses to explode."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.vnnlib.ast import And, Compare, Expr, Number, Or, Variable
from vnnverify.vnnlib.disjuncts import (
    MULTIPLIED,
    Alternatives,
    Conjunction,
    TooManyDisjuncts,
    conjuncts,
    disjuncts,
)

ATOMS = [Compare("<=", Variable("X", k), Number("0"), k) for k in range(5)]
TREES: st.SearchStrategy[Expr] = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.builds(
        lambda kind, args: kind(tuple(args)),
        st.sampled_from([And, Or]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=10,
)


def _means(expr: Expr, truth: tuple[bool, ...]) -> bool:
    if isinstance(expr, Compare):
        return truth[expr.offset]
    values = [_means(arg, truth) for arg in expr.args]
    return all(values) if isinstance(expr, And) else any(values)


def _holds(cases: Iterable[Conjunction], truth: tuple[bool, ...]) -> bool:
    return any(
        all(_holds(p.cases, truth) if isinstance(p, Alternatives) else truth[p.offset] for p in case)
        for case in cases
    )


@given(TREES)
def test_the_disjuncts_mean_the_tree(tree: Expr) -> None:
    found = disjuncts(tree)
    for truth in product([False, True], repeat=len(ATOMS)):
        assert _holds(found, truth) == _means(tree, truth)


@given(st.lists(TREES, min_size=6, max_size=9))
def test_what_is_not_multiplied_out_means_the_same(trees: list[Expr]) -> None:
    a, b, c = ATOMS[:3]
    tree = Or((c, And(tuple(Or((a, And((b, inner)), inner)) for inner in trees))))
    found = disjuncts(tree)
    assert any(isinstance(part, Alternatives) for case in found for part in case)
    for truth in product([False, True], repeat=len(ATOMS)):
        assert _holds(found, truth) == _means(tree, truth)


@given(st.lists(TREES, min_size=1, max_size=3))
def test_the_conjuncts_mean_the_assertions(trees: list[Expr]) -> None:
    found = conjuncts(trees)
    assert all(not isinstance(expr, And) for expr, _ in found)
    assert {number for _, number in found} == set(range(len(trees)))
    for truth in product([False, True], repeat=len(ATOMS)):
        assert all(_means(e, truth) for e, _ in found) == all(_means(tree, truth) for tree in trees)


def test_keeps_the_order_of_the_text() -> None:
    a, b, c, d, _ = ATOMS
    assert disjuncts(And((Or((a, b)), c, Or((And((d, a)), b))))) == [
        (a, c, d, a),
        (a, c, b),
        (b, c, d, a),
        (b, c, b),
    ]


def test_the_longest_disjunction_is_multiplied_out_and_the_others_stay() -> None:
    a, b, c, d, e = ATOMS
    wide = Or((a, b, c))
    found = disjuncts(And((d, *(Or((a, b)),) * 24, wide, e)))
    assert len(found) == 3
    for case, own in zip(found, (a, b, c), strict=True):
        kept = [part for part in case if isinstance(part, Alternatives)]
        assert [part for part in case if not isinstance(part, Alternatives)] == [d, own, e]
        assert [part.cases for part in kept] == [((a,), (b,))] * 24
    few = And((Or((a, b)),) * int(log2(MULTIPLIED)))
    assert all(isinstance(part, Compare) for case in disjuncts(few) for part in case)


def test_disjunctions_nested_too_deep_are_refused() -> None:
    tree: Expr = ATOMS[0]
    for k in range(200):
        tree = And((Or((ATOMS[1], tree)), Or((ATOMS[2],) * (2 * k + 70))))
    with pytest.raises(TooManyDisjuncts):
        disjuncts(tree)


@pytest.mark.parametrize("kinds", [(And,), (Or,)], ids=["and", "or"])
def test_deep_trees_need_no_recursion(kinds: tuple[type[And] | type[Or], ...]) -> None:
    tree: Expr = ATOMS[0]
    for _ in range(9_000):
        tree = kinds[0]((ATOMS[1], tree))
    found = disjuncts(tree)
    assert sum(map(len, found)) == 9_001


def test_deep_alternation_is_read_or_refused_in_bounded_time() -> None:
    tree: Expr = ATOMS[0]
    for k in range(200):
        tree = (And, Or)[k % 2]((ATOMS[1], tree))
    assert len(disjuncts(tree)) == 101
    for k in range(8_000):
        tree = (And, Or)[k % 2]((ATOMS[1], tree))
    with pytest.raises(TooManyDisjuncts):
        disjuncts(tree)
