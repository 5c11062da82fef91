# SPDX-License-Identifier: Apache-2.0
"""AveragePool, MaxPool, and their global forms."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import divided
from vnnverify.importer.readers.product import spatial_pads
from vnnverify.importer.readers.unpooling import places_of_maxima
from vnnverify.importer.registry import reads
from vnnverify.ops.conv import Conv
from vnnverify.ops.maximum import MaxPool, ReduceMax
from vnnverify.ops.piecewise import Abs
from vnnverify.ops.smooth import Power, Sqrt
from vnnverify.ops.sums import AveragePool, ReduceSum

__all__: list[str] = []


def _window(
    node: NodeView, extent: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, strides, dilations, padding before and after; `ceil_mode` is turned into padding after."""
    kernel = tuple(node.attribute("kernel_shape"))
    strides = tuple(node.attribute("strides", [1] * len(kernel)))
    dilations = tuple(node.attribute("dilations", [1] * len(kernel)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    before, after = spatial_pads(node, extent, reach, strides)
    if node.attribute("ceil_mode", 0):
        grown = []
        for n, r, s, b, a in zip(extent, reach, strides, before, after, strict=True):
            count = -(-(n + b + a - r) // s) + 1
            if (count - 1) * s >= n + b:  # a window may not start in the padding after
                count -= 1
            grown.append(max(a, (count - 1) * s + r - n - b))
        after = tuple(grown)
    node.within_limit([n + b + a for n, b, a in zip(extent, before, after, strict=True)])
    if any(b >= r or a >= r + s for b, a, r, s in zip(before, after, reach, strides, strict=True)):
        raise node.unsupported("a window that lies in the padding alone")
    return kernel, strides, dilations, before, after


@reads("MaxPool")
def _max_pool(node: NodeView) -> list[Operand]:
    """The maxima, and where they lie, if that is asked for."""
    x = node.variable()
    kernel, strides, dilations, before, after = _window(node, x.shape[2:])
    op = MaxPool(kernel, strides, before, after, dilations)
    maxima = node.add(op, x)
    return [maxima] if node.output_count == 1 else [maxima, places_of_maxima(node, x, op, maxima.shape)]


@reads("AveragePool")
def _average_pool(node: NodeView) -> Operand:
    x = node.variable()
    kernel, strides, dilations, before, after = _window(node, x.shape[2:])
    pads = node.attribute("pads", [0] * (2 * len(kernel)))
    rank = len(kernel)
    counted = torch.ones(1, 1, *x.shape[2:], dtype=torch.float64)
    if node.attribute("count_include_pad", 0):
        widths = [w for k in reversed(range(rank)) for w in (pads[k], pads[k + rank])]
        counted = torch.nn.functional.pad(counted, widths, value=1.0)
        before_left = (0,) * rank
        after_left = tuple(a - p for a, p in zip(after, pads[rank:], strict=True))
    else:
        before_left, after_left = before, after
    ones = torch.ones(1, 1, *kernel, dtype=torch.float64)
    window = Conv(ones, None, strides, before_left, after_left, dilations)
    count = window.linear(counted[None])[0, 0, 0]
    if any(d != 1 for d in dilations):  # the same sums, by a convolution of each channel alone
        single = node.reshaped(x, (x.shape[0] * x.shape[1], 1, *x.shape[2:]))
        sums = node.add(Conv(ones, None, strides, before, after, dilations), single)
        return divided(node, node.reshaped(sums, (*x.shape[:2], *sums.shape[2:])), count.numpy())
    return node.add(AveragePool(kernel, strides, before, after, 1.0 / count), x)


@reads("GlobalAveragePool", "GlobalMaxPool")
def _global(node: NodeView) -> Operand:
    x = node.variable()
    axes = tuple(range(2, len(x.shape)))
    if node.op_type == "GlobalMaxPool":
        return node.add(ReduceMax(axes, True), x)
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return node.add(ReduceSum(axes, True, 1.0 / count, count), x)


@reads("LpPool", "GlobalLpPool")
def _lp_pool(node: NodeView) -> Operand:
    """The p-norm of each window: roots of sums of powers."""
    x, p = node.variable(), float(node.attribute("p", 2))
    powers = node.add(Abs(), x) if p != 2.0 else x
    powers = powers if p == 1.0 else node.add(Power(p), powers)
    if node.op_type == "GlobalLpPool":
        axes = tuple(range(2, len(x.shape)))
        total = node.add(ReduceSum(axes, True, 1.0, prod(x.shape[2:])), powers)
    else:
        kernel, strides, dilations, before, after = _window(node, x.shape[2:])
        ones = torch.ones(1, 1, *kernel, dtype=torch.float64)
        single = node.reshaped(powers, (x.shape[0] * x.shape[1], 1, *x.shape[2:]))
        sums = node.add(Conv(ones, None, strides, before, after, dilations), single)
        total = node.reshaped(sums, (*x.shape[:2], *sums.shape[2:]))
    if p == 1.0:
        return total
    return node.add(Sqrt() if p == 2.0 else Power(1.0 / p), total)
