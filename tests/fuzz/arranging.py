# SPDX-License-Identifier: Apache-2.0
"""What moves, repeats and leaves out elements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from draft import Draft

__all__ = ["ARRANGING"]


def _reshape(d: Draft) -> None:
    size = int(np.prod(d.shape))
    wanted = d.pick([-1], [0, -1], [1, -1], [size, 1], [1, 1, -1], list(reversed(d.shape)))
    d.add("Reshape", d.name, d.const(wanted, np.int64), allowzero=d.pick(None, 0) if d.opset >= 14 else None)


def _flatten(d: Draft) -> None:
    d.add("Flatten", d.name, axis=d.pick(None, d.axis(), d.rank) if d.opset >= 11 else abs(d.axis()))


def _transpose(d: Draft) -> None:
    d.add("Transpose", d.name, perm=d.pick(None, d.rng.permutation(d.rank).tolist()))


def _squeeze(d: Draft) -> None:
    ones = [k for k, n in enumerate(d.shape) if n == 1]
    axes = d.pick(None, ones[:1] or None, [k - d.rank for k in ones][:1] or None)
    if d.opset >= 13:
        d.add("Squeeze", d.name, *([] if axes is None else [d.const(axes, np.int64)]))
    else:
        d.add("Squeeze", d.name, axes=axes)


def _unsqueeze(d: Draft) -> None:
    axes = [d.axis(1)] if d.opset >= 11 else [abs(d.axis())]
    if d.opset >= 13:
        d.add("Unsqueeze", d.name, d.const(axes, np.int64))
    else:
        d.add("Unsqueeze", d.name, axes=axes)


def _slice(d: Draft) -> None:
    axes = d.axes()
    starts, ends, steps = [], [], []
    for axis in axes:
        n = d.shape[axis]
        step = d.pick(1, 1, 2, -1, -2, 3)
        a, b = (int(v) for v in d.rng.integers(-n - 2, n + 3, 2))
        starts.append(d.pick(a, 0 if step > 0 else -1))
        ends.append(d.pick(b, 1 << 62 if step > 0 else -(1 << 62)))
        steps.append(step)
    if d.opset < 10:
        d.add("Slice", d.name, starts=starts, ends=ends, axes=[a % d.rank for a in axes])
    else:
        d.add("Slice", d.name, *(d.const(v, np.int64) for v in (starts, ends, axes, steps)))


def _pad(d: Draft) -> None:
    mode = d.pick(None, "constant", "reflect", "edge", "wrap" if d.opset >= 19 else "edge")
    pads = d.rng.integers(-1 if mode in (None, "constant") else 0, 3, 2 * d.rank)
    pads[:1] = pads[d.rank : d.rank + 1] = 0
    value = d.pick(None, 1.5)
    if d.opset < 11:
        d.add("Pad", d.name, mode=mode, pads=pads.tolist(), value=value)
    else:
        d.add("Pad", d.name, d.const(pads, np.int64), *([] if value is None else [d.const(value)]), mode=mode)


def _concat(d: Draft) -> None:
    axis = d.axis() if d.opset >= 11 else abs(d.axis()) % d.rank
    shape = list(d.shape)
    shape[axis] = int(d.rng.integers(1, 3))
    pair = [d.name, d.pick(d.const(d.normal(*shape)), d.name)]
    d.add("Concat", *(pair if d.rng.random() < 0.5 else pair[::-1]), axis=axis)


def _split(d: Draft) -> None:
    axis = d.axis() if d.opset >= 11 else abs(d.axis()) % d.rank
    n = d.shape[axis]
    cut = int(d.rng.integers(1, n))
    sizes = [cut, n - cut]
    if d.opset >= 13:
        made = d.add("Split", d.name, d.const(sizes, np.int64), outputs=2, axis=axis)
    else:
        made = d.add("Split", d.name, outputs=2, axis=axis, split=sizes)
    d.name = d.pick(*made)


def _tile(d: Draft) -> None:
    d.add("Tile", d.name, d.const(d.rng.integers(1, 3, d.rank), np.int64))


def _expand(d: Draft) -> None:
    shape = [n if n > 1 else d.pick(1, 2) for n in d.shape]
    d.add("Expand", d.name, d.const(d.pick(shape, [2, *shape], shape[-1:]), np.int64))


def _gather(d: Draft) -> None:
    axis = d.axis()
    n = d.shape[axis]
    index = d.rng.integers(0 if d.opset < 11 else -n, n, d.pick((), (2,), (1, 2)))
    d.add("Gather", d.name, d.const(index, np.int64), axis=axis)


def _gather_elements(d: Draft) -> None:
    axis = d.axis()
    n = d.shape[axis]
    d.add("GatherElements", d.name, d.const(d.rng.integers(-n, n, d.shape), np.int64), axis=axis)


def _depth(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        mode = d.pick(None, "DCR", "CRD") if kind == "DepthToSpace" and d.opset >= 11 else None
        d.add(kind, d.name, blocksize=d.pick(1, 2), mode=mode)

    return make


def _trilu(d: Draft) -> None:
    k = d.pick(None, 0, 1, -1, 5)
    d.add("Trilu", d.name, *([] if k is None else [d.const(k, np.int64)]), upper=d.pick(None, 0, 1))


ARRANGING: dict[str, Callable[[Draft], None]] = {
    "Reshape": _reshape, "Flatten": _flatten, "Transpose": _transpose, "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Slice": _slice, "Pad": _pad, "Concat": _concat, "Split": _split, "Tile": _tile,
    "Expand": _expand, "Gather": _gather, "GatherElements": _gather_elements,
    "DepthToSpace": _depth("DepthToSpace"), "SpaceToDepth": _depth("SpaceToDepth"), "Trilu": _trilu,
}  # fmt: skip
