# SPDX-License-Identifier: Apache-2.0
"""Passes that make a graph smaller without changing the function it computes.

A pass takes a graph and returns an equal one. Nothing is moved forward over a shift: W(x + t) as
W x + W t would replace a small number by the difference of two large ones.
"""

from __future__ import annotations

from collections.abc import Callable

from vnnverify.ir.graph import Graph
from vnnverify.simplify.copies import merge_copies
from vnnverify.simplify.dead_code import remove_dead_code
from vnnverify.simplify.duplicates import merge_duplicates
from vnnverify.simplify.fusion import fuse_scales
from vnnverify.simplify.identities import remove_identities
from vnnverify.simplify.joining import join_functions
from vnnverify.simplify.masks import leave_out_masked
from vnnverify.simplify.moments import centre_variances
from vnnverify.simplify.opposites import merge_opposite_relus
from vnnverify.simplify.products import fuse_products
from vnnverify.simplify.quotients import limit_quotients
from vnnverify.simplify.softmaxes import join_softmaxes
from vnnverify.simplify.squares import square_products
from vnnverify.simplify.two_valued import straighten_two_valued

__all__ = [
    "centre_variances",
    "fuse_products",
    "fuse_scales",
    "join_functions",
    "join_softmaxes",
    "leave_out_masked",
    "limit_quotients",
    "merge_copies",
    "merge_duplicates",
    "merge_opposite_relus",
    "remove_dead_code",
    "remove_identities",
    "simplify",
    "square_products",
    "straighten_two_valued",
]

_PASSES: tuple[Callable[[Graph], Graph], ...] = (
    remove_dead_code,
    remove_identities,
    merge_duplicates,
    merge_copies,
    leave_out_masked,
    fuse_scales,
    merge_opposite_relus,  # before products of selections hide the copies
    fuse_products,
    square_products,
    join_softmaxes,
    centre_variances,
    join_functions,
    limit_quotients,
    straighten_two_valued,
)


def simplify(graph: Graph) -> Graph:
    """The graph after all passes, repeated until none of them changes anything."""
    before = None
    while before is not graph:
        before = graph
        for one_pass in _PASSES:
            graph = one_pass(graph)
    return graph
