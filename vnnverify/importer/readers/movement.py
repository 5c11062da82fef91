# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements to places which constants tell: gathering, cutting triangles."""

from __future__ import annotations

import numpy as np
import onnx
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.folding import evaluate
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.order import picked
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Select, Transpose
from vnnverify.ops.linear import Linear

__all__: list[str] = []


@reads("GatherElements", "GatherND", "Compress", "ReverseSequence")
@reads("Trilu", "CenterCropPad")
def _moved(node: NodeView) -> Operand:
    """Whatever such an operator does to elements it does to their numbers: 1, 2, …; 0 is a new zero."""
    indices = node.operand(1)
    if node.op_type == "GatherElements" and isinstance(indices, Value):
        return _picked_elements(node, indices)
    x = node.variable()
    given = [node.constant(k, "an input that tells the places") for k in range(1, len(node.inputs))]
    numbers = [np.arange(1, x.size + 1).reshape(x.shape), *given]
    names = [f"in{k}" if part is not None else "" for k, part in enumerate(numbers)]
    proto = onnx.helper.make_node(node.op_type, names, ["out"], **node.attributes)
    (places,) = evaluate(proto, numbers, node.opset, node.title)
    chosen = torch.from_numpy(np.ascontiguousarray(places.astype(np.int64)))
    picked = node.add(Select.of((chosen - 1).clamp(min=0), tuple(chosen.shape)), node.reshaped(x, (x.size,)))
    if bool((chosen > 0).all()):
        return picked
    return scaled(node, picked, (chosen > 0).numpy().astype(np.float64), None)


def _picked_elements(node: NodeView, index: Value) -> Value:
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
    if any(n != m for k, (n, m) in enumerate(zip(x.shape, index.shape, strict=True)) if k != axis):
        places = np.arange(x.size).reshape(x.shape)
        cut = places[tuple(slice(None) if k == axis else slice(m) for k, m in enumerate(index.shape))]
        x = node.add(Select.of(torch.from_numpy(np.ascontiguousarray(cut)), cut.shape), x)
    return picked(node, x, index, axis, elements=True)


@reads("CumSum")
def _cumulative_sum(node: NodeView) -> Operand:
    x = node.variable()
    found = node.constant(1, "the axis")
    assert found is not None
    axis = node.axis(int(found.reshape(-1)[0]), len(x.shape))
    n = x.shape[axis]
    before = np.tril(np.ones((n, n)), -1 if node.attribute("exclusive", 0) else 0)
    weight = before.T if node.attribute("reverse", 0) else before
    swap = list(range(len(x.shape)))
    swap[axis], swap[-1] = swap[-1], swap[axis]
    turn = Transpose(tuple(swap))
    return node.add(turn, node.add(Linear(as_tensor(weight)), node.add(turn, x)))
