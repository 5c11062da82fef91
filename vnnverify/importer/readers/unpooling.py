# SPDX-License-Identifier: Apache-2.0
"""Where the maxima of windows lie, and MaxUnpool, which puts values back there."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.registry import reads
from vnnverify.ir import Node, Shape, Value
from vnnverify.ops.arrangement import Concat, Constant, Reshape, Select
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import entries, product
from vnnverify.ops.maximum import MaxPool
from vnnverify.ops.piecewise import Tent
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import ReduceSum

__all__ = ["places_of_maxima"]


def places_of_maxima(node: NodeView, x: Value, op: MaxPool, shape: Shape) -> Value:
    """Positions of the window maxima in the flattened x, of equal ones the first: Σ_k hit_k·place_k.

    Raises:
        UnsupportedModelError: positions in column-major order are asked for, of voxels.
    """
    windows = op.groups(x.shape).sort(dim=1).values  # what repeats a member comes after it
    count = windows.shape[1]
    picked = node.add(Select.of(windows, tuple(windows.shape)), x)
    best = node.expanded(as_onnx(node, "ArgMax", picked, axis=1, keepdims=1), picked.shape)
    hits = node.add(Tent(), scaled(node, best, None, -np.arange(count, dtype=np.float64)))
    terms = node.add(Scale(_told(node, x.shape)[windows].double(), None), hits)
    return node.reshaped(node.add(ReduceSum((1,), False, 1.0, count), terms), shape)


def _told(node: NodeView, shape: Shape) -> Tensor:
    """What MaxPool calls each place of its flattened input."""
    places = torch.arange(prod(shape))
    if not node.attribute("storage_order", 0) or len(shape) == 3:
        return places
    if len(shape) != 4:
        raise node.unsupported("positions in column-major order (storage_order=1) of voxels")
    height, width = shape[2:]
    channels = places.reshape(-1, height * width)[:, :1, None]
    inside = torch.arange(height)[:, None] + height * torch.arange(width)[None]
    return (channels + inside).reshape(-1)


@reads("MaxUnpool")
def _max_unpool(node: NodeView) -> Operand:
    """Zeros, and the elements of x at the places that a MaxPool, or a constant, tells."""
    x, index = node.variable(), node.operand(1)
    if index is None:
        raise node.error("the places are missing")
    shape = node.within_limit(_output_shape(node, x.shape))
    if tuple(index.shape) != x.shape:
        raise node.error(f"has places of shape {tuple(index.shape)} for an input of shape {x.shape}")
    if isinstance(index, Value):
        return _put_by_windows(node, x, index, shape)
    places = index.reshape(-1).astype(np.int64)
    if ((places < 0) | (places >= prod(shape))).any():
        raise node.error(f"has places outside an output of shape {shape}")
    sources = np.full(prod(shape), x.size)  # the zero behind the elements of x
    sources[places] = np.arange(x.size)  # the last of several
    nothing = node.add(Constant(torch.zeros(1, dtype=torch.float64)))
    joined = node.add(Concat(0), node.reshaped(x, (x.size,)), nothing)
    return node.add(Select.of(torch.from_numpy(sources), shape), joined)


def _output_shape(node: NodeView, shape: Shape) -> Shape:
    """The shape that the windows make.

    Raises:
        UnsupportedModelError: another is given, where ONNX moves the places to it, and onnxruntime does not.
    """
    kernel = node.attribute("kernel_shape")
    rank = len(kernel)
    strides, pads = node.attribute("strides", [1] * rank), node.attribute("pads", [0] * (2 * rank))
    spatial = [
        (n - 1) * s - pads[k] - pads[k + rank] + w
        for k, (n, s, w) in enumerate(zip(shape[2:], strides, kernel, strict=True))
    ]
    found, given = (*shape[:2], *spatial), node.constant(2, "the output shape")
    if given is not None and tuple(given.reshape(-1).tolist()) != found:
        raise node.unsupported("an output shape other than that of the windows, which is read in two ways,")
    return found


def _put_by_windows(node: NodeView, x: Value, index: Value, shape: Shape) -> Value:
    """Each element times the hits of its window, added up where they lie; no place is in two windows."""
    hits, windows = _windows_of(node, index)
    several = [torch.unique(row).numel() for row in windows]
    if torch.unique(windows).numel() < sum(several):
        raise node.unsupported("places from windows that overlap")
    if int(windows.max()) >= prod(shape):
        raise node.error(f"may have places outside an output of shape {shape}")
    column = node.expanded(node.reshaped(x, (x.size, 1)), hits.shape)
    terms = node.add(Mul(), hits, column)
    n = terms.size
    ones = torch.ones(n, dtype=torch.float64)
    weight = entries(windows.reshape(-1), torch.arange(n), ones, (prod(shape), n))
    return node.reshaped(node.add(product(weight), node.reshaped(terms, (n,))), shape)


def _windows_of(node: NodeView, index: Value) -> tuple[Value, Tensor]:
    """What `places_of_maxima` made the positions from: the hits, and the places of each window.

    Raises:
        UnsupportedModelError: it is not where they come from.
    """

    def made(value: Value) -> Node | None:
        found = node.builder.producer(value)
        while found is not None and isinstance(found.op, Reshape):
            found = node.builder.producer(found.inputs[0])
        return found

    total = made(index)
    if total is not None and isinstance(total.op, ReduceSum):
        terms = made(total.inputs[0])
        if terms is not None and isinstance(terms.op, Scale) and terms.op.scale is not None:
            hits = made(terms.inputs[0])
            if hits is not None and isinstance(hits.op, Tent):
                return hits.output, terms.op.scale.long()
    raise node.unsupported("places that no MaxPool of the model tells")
