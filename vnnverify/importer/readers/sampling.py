# SPDX-License-Identifier: Apache-2.0
"""Images sampled at constant places: each output is a weighted sum of the pixels around its place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as combinations
from math import prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.registry import reads
from vnnverify.numerics import COMPUTED_ROUNDINGS
from vnnverify.ops.arrangement import Concat, Select, Transpose
from vnnverify.ops.linear import LeftLinear, entries, product

__all__ = ["pixel_weights"]

_CUBIC = -0.75
"""The free coefficient of cubic interpolation in ONNX's GridSample."""
_MODES = {"bilinear": "linear", "bicubic": "cubic"}  # names before opset 20


@reads("GridSample", since=16)
def _grid_sample(node: NodeView) -> Operand:
    """A matrix for each image, the same for all its channels."""
    x, grid = node.variable(), node.constant(1, "the grid")
    if grid is None:
        raise node.error("the grid is missing")
    rank = len(x.shape) - 2
    if grid.ndim != rank + 2 or grid.shape[0] != x.shape[0] or grid.shape[-1] != rank:
        raise node.error(f"a grid of shape {grid.shape} does not fit an input of shape {x.shape}")
    mode = node.attribute("mode", "linear")
    mode, padding = _MODES.get(mode, mode), node.attribute("padding_mode", "zeros")
    if mode == "cubic" and rank != 2:
        raise node.unsupported("cubic interpolation of anything but flat images")
    extent, centred = x.shape[2:], not node.attribute("align_corners", 0)
    parts = []
    for image in range(x.shape[0]):
        points = grid[image].reshape(-1, rank).astype(np.float64)
        found = list(pixel_weights(points, extent, mode, padding, centred))
        rows, columns, weights = (np.concatenate(part) for part in zip(*found, strict=True))
        matrix = entries(
            torch.from_numpy(rows),
            torch.from_numpy(columns),
            torch.from_numpy(weights),
            (len(points), prod(extent)),
        )
        places = torch.arange(x.size).reshape(x.shape[0], x.shape[1], -1)[image : image + 1].contiguous()
        single = node.add(Select.of(places, tuple(places.shape)), x)
        parts.append(node.add(product(matrix, roundings=COMPUTED_ROUNDINGS), single))
    joined = parts[0] if len(parts) == 1 else node.add(Concat(0), *parts)
    return node.reshaped(joined, (*x.shape[:2], *grid.shape[1:-1]))


def pixel_weights(
    points: np.ndarray, extent: tuple[int, ...], mode: str, padding: str, centred: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Which pixels the values at some points are made of.

    Args:
        points: (k, axes) between −1 and 1 from edge to edge, the last axis of the image first.
        extent: pixels along each axis.
        centred: whether −1 and 1 are the outer edges of the outermost pixels, not their centres.

    Yields:
        Points, pixels and weights, an entry for each pair that counts.
    """
    axes = []
    for place, n in zip(points.T[::-1], extent, strict=True):
        at = ((place + 1) * n - 1) / 2 if centred else (place + 1) / 2 * (n - 1)
        low, high = (-0.5, n - 0.5) if centred else (0.0, n - 1.0)
        if padding == "border" and mode != "cubic":
            at = np.clip(at, 0, n - 1)
        elif padding == "reflection" and mode != "cubic":
            at = np.clip(_mirrored(at, low, high), 0, n - 1)
        axes.append([_reached(k, n, w, padding, low, high) for k, w in _taps(at, mode)])
    for taps in combinations(*axes):
        pixel, weight = np.zeros(len(points), np.int64), np.ones(len(points))
        for (k, w), n in zip(taps, extent, strict=True):
            pixel, weight = pixel * n + k, weight * w
        counts = weight.nonzero()[0]
        yield counts, pixel[counts], weight[counts]


def _taps(at: np.ndarray, mode: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pixels along one axis around each place, and their weights."""
    if mode == "nearest":
        yield np.rint(at).astype(np.int64), np.ones_like(at)
        return
    first = np.floor(at).astype(np.int64)
    t = at - first
    if mode == "linear":
        yield first, 1 - t
        yield first + 1, t
        return
    a = _CUBIC
    for offset in (-1, 0, 1, 2):
        d = np.abs(t - offset)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        yield first + offset, np.where(d <= 1, near, far)


def _reached(
    k: np.ndarray, n: int, weight: np.ndarray, padding: str, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels brought inside; outside of zeros there is no weight."""
    if padding == "reflection":
        k = np.rint(_mirrored(k.astype(np.float64), low, high)).astype(np.int64)
    inside = (k >= 0) & (k < n)
    k = np.clip(k, 0, n - 1)
    return (k, np.where(inside, weight, 0.0)) if padding == "zeros" else (k, weight)


def _mirrored(at: np.ndarray, low: float, high: float) -> np.ndarray:
    """Places thrown back at the ends as often as it takes."""
    span = high - low
    if span == 0:
        return np.zeros_like(at)
    turns = np.mod(at - low, 2 * span)
    return low + np.where(turns > span, 2 * span - turns, turns)


@reads("AffineGrid", since=20)
def _affine_grid(node: NodeView) -> Operand:
    """(x, y, 1)·theta^T at the centres of all pixels, or x, y, z of voxels."""
    theta, size = node.variable(0), node.constant(1, "the size")
    if size is None or size.size not in (4, 5):
        raise node.error("the size must be of an image (4) or of voxels (5)")
    extent = [int(n) for n in size.reshape(-1)[2:]]
    node.within_limit([int(size.reshape(-1)[0]), *extent, len(extent)])
    corners = bool(node.attribute("align_corners", 0))
    steps = [np.linspace(-1, 1, n) if corners and n > 1 else (2 * np.arange(n) + 1) / n - 1 for n in extent]
    axes = np.meshgrid(*steps, indexing="ij")[::-1]
    base = np.stack([*(a.reshape(-1) for a in axes), np.ones(prod(extent))], axis=1)
    turned = node.add(Transpose((0, 2, 1)), theta)
    weight = as_tensor(np.broadcast_to(base, (theta.shape[0], *base.shape)))
    return node.reshaped(node.add(LeftLinear(weight), turned), (theta.shape[0], *extent, len(extent)))
