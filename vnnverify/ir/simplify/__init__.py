# SPDX-License-Identifier: Apache-2.0
"""Passes that make a graph smaller without changing the function it computes.

A pass takes a graph and returns an equal one. Nothing is moved forward over a shift: W(x + t) as
W x + W t would replace a small number by the difference of two large ones.
"""

from __future__ import annotations

from collections.abc import Callable

from vnnverify.ir.graph import Graph
from vnnverify.ir.simplify.copies import merge_copies
from vnnverify.ir.simplify.dead_code import remove_dead_code
from vnnverify.ir.simplify.duplicates import merge_duplicates
from vnnverify.ir.simplify.fusion import fuse_scales
from vnnverify.ir.simplify.identities import remove_identities
from vnnverify.ir.simplify.joining import join_functions
from vnnverify.ir.simplify.masks import leave_out_masked
from vnnverify.ir.simplify.moments import centre_variances
from vnnverify.ir.simplify.opposites import merge_opposite_relus
from vnnverify.ir.simplify.products import fuse_products
from vnnverify.ir.simplify.quotients import limit_quotients
from vnnverify.ir.simplify.softmaxes import join_softmaxes
from vnnverify.ir.simplify.squares import square_products
from vnnverify.ir.simplify.two_valued import straighten_two_valued

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
