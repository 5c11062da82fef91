# SPDX-License-Identifier: Apache-2.0
"""Scatter, ScatterElements, ScatterND: elements put, added, multiplied or compared at constant places."""

from __future__ import annotations

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.registry import reads
from vnnverify.ir import Shape, Value
from vnnverify.ops.arrangement import Concat, Select
from vnnverify.ops.linear import entries, product
from vnnverify.ops.sums import Sum

__all__: list[str] = []

MOST_AT_ONE_PLACE = 256
"""Updates of one place that are joined one after the other."""
_JOINS = {"mul": "Mul", "max": "Max", "min": "Min"}
"""ONNX operators by the reductions that they are, of an element and an update."""


@reads("Scatter", "ScatterElements", "ScatterND")
def _scatter(node: NodeView) -> Operand:
    """The first input with the third one brought in at the places that the second one tells."""
    x, indices, updates = node.variable(0), node.constant(1, "the places"), node.operand(2)
    if indices is None or updates is None:
        raise node.error("the places or the updates are missing")
    reduction = str(node.attribute("reduction", "none"))
    if reduction not in ("none", "add", *_JOINS):
        raise node.unsupported(f"the reduction {reduction!r}")
    _refuse_overflow(node, reduction)
    target = _target(node, x.shape, indices)
    if target.shape != tuple(updates.shape):
        raise node.error(f"has updates of shape {tuple(updates.shape)} for places of shape {target.shape}")
    places = target.reshape(-1)
    if reduction == "add":
        return _added(node, x, places, node.variable(2))
    layers = _layers(node, places)
    flat = node.reshaped(x, (x.size,))
    if reduction == "none":
        if len(layers) > 1 and node.op_type == "ScatterND":
            raise node.unsupported("several updates of one place, whose order is left to the runtime,")
        last = np.sort(list(dict(zip(places.tolist(), range(len(places)), strict=True)).values()))
        return node.reshaped(_put(node, flat, places[last], _taken(node, last)), x.shape)
    for layer in layers:
        old, new = _select(node, flat, places[layer]), _part(node, layer)
        flat = _put(node, flat, places[layer], as_onnx(node, _JOINS[reduction], old, new))
    return node.reshaped(flat, x.shape)


def _refuse_overflow(node: NodeView, reduction: str) -> None:
    kind = node.types[0] if node.types else None
    if kind is None or kind.kind not in "iu" or reduction not in ("add", "mul"):
        return
    if reduction == "mul" or kind.kind == "u" or kind.itemsize < 4:
        raise node.unsupported(f"arithmetic of {kind}, which may overflow,")


def _target(node: NodeView, shape: Shape, indices: np.ndarray) -> np.ndarray:
    """For each element of the updates its place in the flattened first input."""
    places = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    if node.op_type == "ScatterND":
        if not 0 < indices.shape[-1] <= len(shape):
            raise node.error(f"has {indices.shape[-1]} indices for {len(shape)} axes")
        return np.asarray(places[tuple(np.moveaxis(indices, -1, 0))])
    axis = node.axis(int(node.attribute("axis", 0)), len(shape))
    if indices.ndim != len(shape):
        raise node.error(f"has places of {indices.ndim} axes for {len(shape)} axes")
    where = np.indices(indices.shape)
    return np.asarray(places[tuple(indices if k == axis else where[k] for k in range(len(shape)))])


def _layers(node: NodeView, places: np.ndarray) -> list[np.ndarray]:
    """Positions of the updates, such that no layer holds two of the same place: first, second, …"""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(places) else order
    rank = np.arange(len(places)) - np.repeat(starts, np.diff(np.r_[starts, len(places)]))
    count = int(rank.max(initial=-1)) + 1
    if count > MOST_AT_ONE_PLACE:
        raise node.unsupported(f"more than {MOST_AT_ONE_PLACE} updates of one place")
    return [np.sort(order[rank == k]) for k in range(count)]


def _select(node: NodeView, flat: Value, places: np.ndarray) -> Value:
    index = torch.from_numpy(np.ascontiguousarray(places.astype(np.int64)))
    return node.add(Select.of(index, (len(places),)), flat)


def _taken(node: NodeView, which: np.ndarray) -> Value:
    """Elements of the flattened updates as a value."""
    found = node.variable(2)
    return _select(node, node.reshaped(found, (found.size,)), which)


def _part(node: NodeView, which: np.ndarray) -> Operand:
    """Elements of the flattened updates; of constant ones, a constant."""
    updates = node.operand(2)
    return np.asarray(updates.reshape(-1)[which]) if isinstance(updates, np.ndarray) else _taken(node, which)


def _put(node: NodeView, flat: Value, places: np.ndarray, found: Value) -> Value:
    """The flat value with other elements at these places, no two of which are the same."""
    index = torch.arange(flat.size)
    index[torch.from_numpy(places.astype(np.int64))] = flat.size + torch.arange(len(places))
    return node.add(Select.of(index, flat.shape), node.add(Concat(0), flat, found))


def _added(node: NodeView, x: Value, places: np.ndarray, updates: Value) -> Value:
    """x with the updates added up where they go, which may be the same place for several."""
    rows, n = torch.from_numpy(places.astype(np.int64)), updates.size
    weight = entries(rows, torch.arange(n), torch.ones(n, dtype=torch.float64), (x.size, n))
    added = node.add(product(weight), node.reshaped(updates, (n,)))
    return node.add(Sum((1, 1)), x, node.reshaped(added, x.shape))
