# SPDX-License-Identifier: Apache-2.0
"""Fourier transforms: products with constant matrices of sines and cosines."""

from __future__ import annotations

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.registry import reads
from vnnverify.ops.arrangement import Select, Transpose
from vnnverify.ops.linear import Linear

__all__: list[str] = []


WAVE_ROUNDINGS = 6
"""Of a sine or cosine: three of its angle, two of the function, one of a window or of the division by n."""


def _waves(n: int, bins: int, size: int, *, inverse: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """cos and ∓sin (bins, size) of 2π·k·j/n, each to a relative error of a few roundings: angles are reduced
    to an eighth of a turn in whole numbers, where neither function cancels."""
    turn = np.arange(bins)[:, None] * np.arange(size)[None] % n
    quarter, rest = np.divmod(4 * turn, n)
    beyond = 2 * rest > n  # the half of the quarter that is measured from its end
    angle = np.pi * np.where(beyond, n - rest, rest) / (2 * n)
    near, far = np.cos(angle), np.sin(angle)
    along, across = np.where(beyond, far, near), np.where(beyond, near, far)
    real = np.choose(quarter, [along, -across, -along, across]) + 0.0
    imaginary = -np.choose(quarter, [across, along, -across, -along]) + 0.0
    return (real / n, -imaginary / n) if inverse else (real, imaginary)


def _matrix(n: int, bins: int, size: int, parts: int, *, inverse: bool = False) -> np.ndarray:
    """The transform (bins·2, size·parts) of real numbers, or of pairs (real, imaginary)."""
    real, imaginary = _waves(n, bins, size, inverse=inverse)
    found = np.zeros((bins, 2, size, parts))
    found[:, 0, :, 0], found[:, 1, :, 0] = real, imaginary
    if parts == 2:
        found[:, 0, :, 1], found[:, 1, :, 1] = -imaginary, real
    return found.reshape(2 * bins, size * parts)


def _real_matrix(n: int, bins: int, parts: int) -> np.ndarray:
    """The inverse transform (n, bins·parts) to n real numbers, of the bins up to the middle: the others are
    their conjugates."""
    real, imaginary = _waves(n, n, bins, inverse=True)
    twice = np.array([1.0 if k in (0, n / 2) else 2.0 for k in range(bins)])
    found = np.stack([twice * real, -twice * imaginary], axis=2)[:, :, :parts]
    return found.reshape(n, bins * parts)


@reads("DFT", since=17)
def _dft(node: NodeView) -> Operand:
    """Along one axis of (…, 1) or (…, 2)."""
    x, length = node.variable(), node.constant(1, "the length")
    rank, parts = len(x.shape), x.shape[-1]
    axis = node.constant(2, "the axis")
    default = -2 if node.opset >= 20 else 1
    where = int(node.attribute("axis", default) if axis is None else axis.reshape(-1)[0])
    where = node.axis(where, rank)
    if parts not in (1, 2) or where == rank - 1:
        raise node.error(f"cannot transform axis {where} of shape {x.shape}")
    inverse, half = bool(node.attribute("inverse", 0)), bool(node.attribute("onesided", 0))
    size, real = x.shape[where], inverse and half
    whole = 2 * (size - 1) if real else size
    n = whole if length is None else int(length.reshape(-1)[0])
    bins = n // 2 + 1 if half and not real else n
    used = min(size, n // 2 + 1 if real else n)
    node.within_limit([bins, size, 2, parts])
    matrix = _real_matrix(n, used, parts) if real else _matrix(n, bins, used, parts, inverse=inverse)
    if used < size:  # the rest is cut off
        matrix = np.pad(matrix, ((0, 0), (0, (size - used) * parts)))
    order = (*(k for k in range(rank - 1) if k != where), where, rank - 1)
    turned = node.add(Transpose(order), x)
    lead = turned.shape[:-2]
    flat = node.reshaped(turned, (*lead, size * parts))
    parts_of_bins = node.add(Linear(as_tensor(matrix), roundings=WAVE_ROUNDINGS), flat)
    found = node.reshaped(parts_of_bins, (*lead, bins, 1 if real else 2))
    return node.add(Transpose(tuple(order.index(k) for k in range(rank))), found)


@reads("STFT", since=17)
def _stft(node: NodeView) -> Operand:
    """Of each frame (batch, frames, bins, 2) of a real signal (batch, length[, 1])."""
    x, step, window = node.variable(), node.constant(1, "the step"), node.constant(2, "the window")
    length = node.constant(3, "the length of a frame")
    if step is None or (window is None and length is None):
        raise node.error("the step is missing, or both the window and the length of a frame")
    if len(x.shape) == 3 and x.shape[2] != 1:
        raise node.unsupported("a signal of complex numbers")
    size = int(window.size if length is None else length.reshape(-1)[0])  # type: ignore[union-attr]
    shape = np.ones(size) if window is None else window.reshape(-1).astype(np.float64)
    if len(shape) != size:
        raise node.error(f"a window of {len(shape)} numbers does not fit frames of {size}")
    batch, total, hop = x.shape[0], x.shape[1], int(step.reshape(-1)[0])
    if not 0 < size <= total or hop < 1:
        raise node.error(f"cannot cut frames of {size} at every {hop} from {total} numbers")
    starts = np.arange(0, total - size + 1, hop)
    places = np.arange(batch)[:, None, None] * total + starts[:, None] + np.arange(size)
    node.within_limit(places.shape)
    bins = size // 2 + 1 if node.attribute("onesided", 1) else size
    matrix = _matrix(size, bins, size, 1) * shape
    frames = node.add(Select.of(torch.from_numpy(places), places.shape), x)
    found = node.add(Linear(as_tensor(matrix), roundings=WAVE_ROUNDINGS), frames)
    return node.reshaped(found, (batch, len(starts), bins, 2))
