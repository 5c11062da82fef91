# SPDX-License-Identifier: Apache-2.0
"""The disjunctive normal form means what the tree means, and refuses to explode."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.vnnlib.ast import And, Compare, Expr, Number, Or, Variable
from vnnverify.vnnlib.disjuncts import TooManyDisjuncts, conjuncts, disjuncts

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


@given(TREES)
def test_the_disjuncts_mean_the_tree(tree: Expr) -> None:
    found = disjuncts(tree)
    for truth in product([False, True], repeat=len(ATOMS)):
        assert any(all(truth[c.offset] for c in part) for part in found) == _means(tree, truth)


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


def test_refuses_to_explode() -> None:
    a, b = ATOMS[:2]
    with pytest.raises(TooManyDisjuncts):
        disjuncts(And((Or((a, b)),) * 24))


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
