# SPDX-License-Identifier: Apache-2.0
"""The least of the largest of some numbers, as nodes of a graph: ReLUs, on whose signs a search can branch.

max(a, b) = a + relu(b − a)        min(a, b) = a − relu(a − b)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Select
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum

__all__ = ["least_of_largest"]

Add = Callable[..., Value]
"""Adds a node with this operator and these inputs, and returns its output."""


def least_of_largest(add: Add, value: Value, terms: Sequence[Sequence[int]]) -> Value:
    """A value (terms,): for each term the least, over its groups, of the largest element of the group.

    Args:
        value: (elements,), those of all groups in turn.
        terms: the sizes of the groups of each term; a term has a group, and each group an element.
    """
    places, start = [], 0
    for sizes in terms:
        for size in sizes:
            places.append(list(range(start, start + size)))
            start += size
    largest = _reduced(add, value, places, largest=True)
    groups, start = [], 0
    for sizes in terms:
        groups.append(list(range(start, start + len(sizes))))
        start += len(sizes)
    return _reduced(add, largest, groups, largest=False)


def _reduced(add: Add, value: Value, groups: list[list[int]], *, largest: bool) -> Value:
    """The largest or the least element of each group: (groups,). Two by two, as in a knock-out."""
    while max(map(len, groups)) > 1:
        pairs: list[tuple[int, int]] = []
        rest: list[int] = []
        for group in groups:
            paired = len(group) - len(group) % 2
            pairs.extend(zip(group[:paired:2], group[1:paired:2], strict=True))
            rest.extend(group[paired:])
        a, b = (_chosen(add, value, [pair[k] for pair in pairs]) for k in (0, 1))
        more = add(Relu(), add(Sum((1, -1)), *((b, a) if largest else (a, b))))
        better = add(Sum((1, 1 if largest else -1)), a, more)
        value = add(Concat(0), better, _chosen(add, value, rest)) if rest else better
        won, left = iter(range(len(pairs))), iter(range(len(pairs), len(pairs) + len(rest)))
        groups = [
            [*(next(won) for _ in group[1::2]), *(next(left) for _ in group[: len(group) % 2])]
            for group in groups
        ]
    return _chosen(add, value, [place for (place,) in groups])


def _chosen(add: Add, value: Value, places: list[int]) -> Value:
    if places == list(range(value.size)):
        return value
    return add(Select.of(torch.tensor(places), (len(places),)), value)
