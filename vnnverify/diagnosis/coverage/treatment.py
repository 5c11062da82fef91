# SPDX-License-Identifier: Apache-2.0
"""How bounds get through a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vnnverify.domains import interval
from vnnverify.ir import Affine, Elementwise, Graph, Maximum, Node

__all__ = ["NOT_BOUNDED", "treatment"]

NOT_BOUNDED = "not bounded"


def treatment(node: Node, provers: Mapping[str, Callable[[Graph], bool]]) -> str:
    """`exact`, `relaxed`, `relaxed/cases` (piecewise linear, so that an exact encoding can split it into
    cases), `by parts`, `by NAME` or `not bounded`.

    Args:
        provers: backends by name, as functions that say whether they take a graph; asked only where
            intervals, and with them the linear bounds, know no way.
    """
    op = node.op
    if isinstance(op, Affine):
        return "exact"
    if interval.domain.find(op) is None:
        alone = Graph(tuple(dict.fromkeys(node.inputs)), (node.output,), (node,))
        if interval.supports(alone):
            return "by parts"
        names = [name for name, takes in provers.items() if takes(alone)]
        return f"by {', '.join(names)}" if names else NOT_BOUNDED
    piecewise = isinstance(op, Maximum) or (isinstance(op, Elementwise) and op.kinks is not None)
    return "relaxed/cases" if piecewise else "relaxed"
