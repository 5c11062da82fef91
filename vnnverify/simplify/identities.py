# SPDX-License-Identifier: Apache-2.0
"""Nodes that hand their input on unchanged."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node
from vnnverify.ops.arrangement import Concat, Expand, Pad, Reshape, Select, Transpose
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import ReduceSum, Sum
from vnnverify.simplify.rewrite import rewire

__all__ = ["remove_identities"]


def remove_identities(graph: Graph) -> Graph:
    """The graph without identities: x·1 + 0, a reshape to the same shape, a sum of one, and the like."""
    replaced = {node.output: node.inputs[0] for node in graph.nodes if _is_identity(node)}
    if not replaced:
        return graph
    return rewire(graph, (node for node in graph.nodes if node.output not in replaced), replaced)


def _is_identity(node: Node) -> bool:
    if len(node.inputs) != 1 or node.inputs[0].shape != node.output.shape:
        return False
    match node.op:
        case Reshape() | Expand() | Concat():
            return True
        case Transpose(perm=perm):
            return perm == tuple(range(len(perm)))
        case Scale(scale=scale, shift=shift, source=None):
            return _all(scale, 1.0) and _all(shift, 0.0)
        case Sum(signs=signs):
            return signs == (1,)
        case Pad(before=before, after=after):
            return not any(before) and not any(after)
        case Select(index=index):
            return torch.equal(index, torch.arange(index.numel(), device=index.device))
        case ReduceSum(count=count, factor=factor):
            return count == 1 and factor == 1.0
        case _:
            return False


def _all(tensor: Tensor | None, value: float) -> bool:
    return tensor is None or bool((tensor == value).all())
