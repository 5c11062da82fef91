# SPDX-License-Identifier: Apache-2.0
"""Operators that move elements to places which constants tell: gathering, scattering, cutting triangles."""

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
from vnnverify.ops.arrangement import Concat, Select, Transpose
from vnnverify.ops.linear import Linear, entries, product
from vnnverify.ops.sums import Sum

__all__: list[str] = []

_MOVED = {"Scatter": (0, 2), "ScatterElements": (0, 2), "ScatterND": (0, 2)}
"""Inputs of which elements are moved; of other operators it is the first."""


@reads("GatherElements", "GatherND", "Scatter", "ScatterElements", "ScatterND", "Compress", "ReverseSequence")
@reads("Trilu", "CenterCropPad")
def _moved(node: NodeView) -> Operand:
    """Whatever such an operator does to elements it does to their numbers: 1, 2, …; 0 is a new zero."""
    if node.attribute("reduction", "none") != "none":
        return _accumulated(node)
    indices = node.operand(1)
    if node.op_type == "GatherElements" and isinstance(indices, Value):
        return _picked_elements(node, indices)
    given: list[np.ndarray | None] = []
    sources, count = [], 1
    for index, operand in enumerate(node.inputs):
        if operand is not None and index in _MOVED.get(node.op_type, (0,)):
            value = node.variable(index)
            given.append(np.arange(count, count + value.size).reshape(value.shape))
            sources.append(node.reshaped(value, (value.size,)))
            count += value.size
        else:
            given.append(node.constant(index, "an input that tells the places"))
    names = [f"in{k}" if x is not None else "" for k, x in enumerate(given)]
    op_type, opset = ("ScatterElements", 11) if node.op_type == "Scatter" else (node.op_type, node.opset)
    proto = onnx.helper.make_node(op_type, names, ["out"], **node.attributes)
    (places,) = evaluate(proto, given, opset, node.title)
    joined = sources[0] if len(sources) == 1 else node.add(Concat(0), *sources)
    chosen = torch.from_numpy(np.ascontiguousarray(places.astype(np.int64)))
    picked = node.add(Select.of((chosen - 1).clamp(min=0), tuple(chosen.shape)), joined)
    if bool((chosen > 0).all()):
        return picked
    return scaled(node, picked, (chosen > 0).numpy().astype(np.float64), None)


def _accumulated(node: NodeView) -> Value:
    """The first input with the third one added at constant places, which may be the same."""
    if node.attribute("reduction") != "add":
        raise node.unsupported(f"the reduction {node.attribute('reduction')!r}")
    x, indices, updates = node.variable(0), node.constant(1, "the places"), node.variable(2)
    if indices is None:
        raise node.error("the places are missing")
    places = np.arange(x.size).reshape(x.shape)
    if node.op_type == "ScatterND":
        target = places[tuple(np.moveaxis(indices, -1, 0))]
    else:
        axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
        where = np.indices(indices.shape)
        target = places[tuple(indices if k == axis else where[k] for k in range(len(x.shape)))]
    if target.shape != updates.shape:
        raise node.error(f"adds {updates.shape} at places {target.shape}")
    rows, n = torch.from_numpy(target.reshape(-1).astype(np.int64)), updates.size
    weight = entries(rows, torch.arange(n), torch.ones(n, dtype=torch.float64), (x.size, n))
    added = node.add(product(weight), node.reshaped(updates, (n,)))
    return node.add(Sum((1, 1)), x, node.reshaped(added, x.shape))


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
