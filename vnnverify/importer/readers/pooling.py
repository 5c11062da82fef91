# SPDX-License-Identifier: Apache-2.0
"""AveragePool, MaxPool, and their global forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import divided
from vnnverify.importer.readers.product import spatial_pads
from vnnverify.importer.readers.unpooling import places_of_maxima
from vnnverify.importer.registry import reads
from vnnverify.importer.runtime import computed
from vnnverify.ir import Value
from vnnverify.ops.conv import Conv
from vnnverify.ops.maximum import MaxPool, ReduceMax
from vnnverify.ops.piecewise import Abs
from vnnverify.ops.smooth import Power, Sqrt
from vnnverify.ops.sums import AveragePool, ReduceSum

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class _Window:
    """Which elements of each channel a pooling node looks at together."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]  # padding
    after: tuple[int, ...]

    @property
    def conv(self) -> Conv:
        """The sum of each window of a single channel."""
        ones = torch.ones(1, 1, *self.kernel, dtype=torch.float64)
        return Conv(ones, None, self.strides, self.before, self.after, self.dilations)

    def sums(self, image: np.ndarray) -> np.ndarray:
        """Of each window of an image (1, 1, *spatial)."""
        return self.conv.linear(torch.from_numpy(image.astype(np.float64))[None])[0].numpy()

    def maxima(self, image: np.ndarray) -> np.ndarray:
        """Of each window of an image (1, 1, *spatial)."""
        op = MaxPool(self.kernel, self.strides, self.before, self.after, self.dilations)
        return op(torch.from_numpy(image.astype(np.float64))[None])[0].numpy()

    @property
    def is_alone(self) -> bool:
        """Whether some window may lie in the padding alone."""
        ends = zip(self.before, self.after, self.kernel, self.strides, self.dilations, strict=True)
        return any(b >= d * (k - 1) + 1 or a >= d * (k - 1) + 1 + s for b, a, k, s, d in ends)


def _windows(node: NodeView, extent: Sequence[int]) -> Iterator[_Window]:
    """What the attributes may mean: onnxruntime pads for a kernel whose dilation it leaves out, or not, and
    for strides beyond the kernel it crops, or does not. `ceil_mode` is turned into padding after, and so is
    what a kernel larger than the image lacks.
    """
    kernel = tuple(node.attribute("kernel_shape"))
    strides = tuple(node.attribute("strides", [1] * len(kernel)))
    dilations = tuple(node.attribute("dilations", [1] * len(kernel)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    for covered, crops in ((kernel, True), (reach, True), (kernel, False), (reach, False)):
        before, after = spatial_pads(node, extent, covered, strides, crops=crops)
        if node.attribute("ceil_mode", 0):
            grown = []
            for n, r, s, b, a in zip(extent, reach, strides, before, after, strict=True):
                count = -(-(n + b + a - r) // s) + 1
                if (count - 1) * s >= n + b:  # a window may not start in the padding after
                    count -= 1
                grown.append(max(a, (count - 1) * s + r - n - b))
            after = tuple(grown)
        # a window beyond the image is one if what it lacks is less than a stride: quotients round to zero
        after = tuple(max(a, r - n - b) for n, r, b, a in zip(extent, reach, before, after, strict=True))
        node.within_limit([n + b + a for n, b, a in zip(extent, before, after, strict=True)])
        yield _Window(kernel, strides, dilations, before, after)


def _is_plain(node: NodeView, window: _Window) -> bool:
    """Whether the attributes leave no doubt: nothing is padded, dilated or rounded up."""
    odd = any(d != 1 for d in node.attribute("dilations", ())) or any(node.attribute("pads", ()))
    return (
        not odd
        and not any(window.after)
        and not node.attribute("ceil_mode", 0)
        and node.attribute("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    )


def _sampled(node: NodeView, extent: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """An image (1, 1, *extent) of different numbers from 1 to 2, and what onnxruntime makes of it."""
    order = np.random.default_rng(0).permutation(prod(extent))
    image = (1.0 + order / len(order)).astype(np.float32).reshape(1, 1, *extent)
    return image, _pooled(node, image)


def _pooled(node: NodeView, image: np.ndarray) -> np.ndarray:
    return computed(node.op_type, [image], node.attributes, node.opset, node.title)


def _agreed(
    node: NodeView, extent: Sequence[int], agrees: Callable[[_Window, np.ndarray, np.ndarray], bool]
) -> _Window:
    """The window whose result on an image is that of onnxruntime.

    Raises:
        UnsupportedModelError: none is, or one lies in the padding alone.
    """
    windows = list(_windows(node, extent))
    if any(window.is_alone for window in windows):
        raise node.unsupported("a window that lies in the padding alone")
    if _is_plain(node, windows[0]):
        return windows[0]
    image, found = _sampled(node, extent)
    for window in windows:
        if agrees(window, image, found):
            return window
    raise node.unsupported("padding as onnxruntime reads these attributes")


@reads("MaxPool")
def _max_pool(node: NodeView) -> list[Operand]:
    """The maxima, and where they lie, if that is asked for."""
    x = node.variable()

    def agrees(window: _Window, image: np.ndarray, found: np.ndarray) -> bool:
        return np.array_equal(window.maxima(image), found) and np.array_equal(
            window.maxima(-image), _pooled(node, -image)
        )

    w = _agreed(node, x.shape[2:], agrees)
    op = MaxPool(w.kernel, w.strides, w.before, w.after, w.dilations)
    maxima = node.add(op, x)
    return [maxima] if node.output_count == 1 else [maxima, places_of_maxima(node, x, op, maxima.shape)]


@reads("AveragePool")
def _average_pool(node: NodeView) -> Operand:
    """Sums of windows over the numbers by which onnxruntime divides them: with and without the padding."""
    x = node.variable()
    extent = x.shape[2:]
    ones = np.ones((1, 1, *extent), np.float32)

    def agrees(window: _Window, image: np.ndarray, found: np.ndarray) -> bool:
        sums = window.sums(image)
        return sums.shape == found.shape and np.allclose(found * _counts(node, window, ones), sums, 1e-4)

    w = _agreed(node, extent, agrees)
    count = (
        np.full(w.sums(ones).shape, float(prod(w.kernel))) if _is_plain(node, w) else _counts(node, w, ones)
    )
    count = count[0, 0]
    if any(d != 1 for d in w.dilations):  # the same sums, by a convolution of each channel alone
        return divided(node, _summed(node, x, w), count)
    return node.add(AveragePool(w.kernel, w.strides, w.before, w.after, 1.0 / torch.from_numpy(count)), x)


def _counts(node: NodeView, window: _Window, ones: np.ndarray) -> np.ndarray:
    """By what onnxruntime divides the sum of each window."""
    with np.errstate(all="ignore"):  # no number agrees with nothing
        return np.rint(window.sums(ones) / _pooled(node, ones).astype(np.float64))


def _summed(node: NodeView, x: Value, window: _Window) -> Value:
    """The sum of each window of each channel."""
    single = node.reshaped(x, (x.shape[0] * x.shape[1], 1, *x.shape[2:]))
    sums = node.add(window.conv, single)
    return node.reshaped(sums, (*x.shape[:2], *sums.shape[2:]))


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

        def agrees(window: _Window, image: np.ndarray, found: np.ndarray) -> bool:
            sums = window.sums(image.astype(np.float64) ** p)
            return sums.shape == found.shape and np.allclose(found.astype(np.float64) ** p, sums, 1e-3)

        total = _summed(node, powers, _agreed(node, x.shape[2:], agrees))
    if p == 1.0:
        return total
    return node.add(Sqrt() if p == 2.0 else Power(1.0 / p), total)
