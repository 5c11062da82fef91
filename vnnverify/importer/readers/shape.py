# SPDX-License-Identifier: Apache-2.0
"""Reshape and its kin, Transpose, Slice, Split, Gather, Concat, Pad, Expand, Tile."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, places_of
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.order import picked
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Pad, Transpose

__all__: list[str] = []


@reads("Reshape")
def _reshape(node: NodeView) -> Operand:
    x = node.variable()
    wanted = node.attribute("shape")
    if wanted is None:
        found = node.constant(1, "the new shape")
        wanted = [] if found is None else found.reshape(-1).tolist()
    keep_zero = node.attribute("allowzero", 0)
    shape = [x.shape[k] if n == 0 and not keep_zero else int(n) for k, n in enumerate(wanted)]
    if -1 in shape:
        rest = prod(n for n in shape if n != -1)
        shape[shape.index(-1)] = x.size // max(1, rest)
    return node.reshaped(x, shape)


@reads("Flatten")
def _flatten(node: NodeView) -> Operand:
    x = node.variable()
    axis, rank = int(node.attribute("axis", 1)), len(x.shape)
    axis = rank if axis == rank else node.axis(axis, rank)
    return node.reshaped(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


def _axes(node: NodeView) -> list[int] | None:
    given = node.attribute("axes")
    if given is None:
        found = node.constant(1, "the list of axes")
        given = None if found is None else found.reshape(-1).tolist()
    return None if given is None else [int(a) for a in given]


@reads("Squeeze")
def _squeeze(node: NodeView) -> Operand:
    x = node.variable()
    axes = _axes(node)
    if axes is None:
        drop = {k for k, n in enumerate(x.shape) if n == 1}
    else:
        drop = {node.axis(a, len(x.shape)) for a in axes}
    return node.reshaped(x, [n for k, n in enumerate(x.shape) if k not in drop])


@reads("Unsqueeze")
def _unsqueeze(node: NodeView) -> Operand:
    x = node.variable()
    axes = _axes(node) or []
    rank = len(x.shape) + len(axes)
    new = {node.axis(a, rank) for a in axes}
    rest = iter(x.shape)
    return node.reshaped(x, [1 if k in new else next(rest) for k in range(rank)])


@reads("Transpose")
def _transpose(node: NodeView) -> Operand:
    x = node.variable()
    perm = node.attribute("perm") or list(reversed(range(len(x.shape))))
    return node.add(Transpose(tuple(int(p) for p in perm)), x)


@reads("Concat")
def _concat(node: NodeView) -> Operand:
    values = [node.variable(k) for k in range(len(node.inputs))]
    return node.add(Concat(node.axis(int(node.attribute("axis", 1)), len(values[0].shape))), *values)


@reads("Slice")
def _slice(node: NodeView) -> Operand:
    """Ranges as attributes (before opset 10) or as inputs."""
    x = node.variable()
    starts, ends, axes, steps = (_listed(node, k, key) for k, key in enumerate(_RANGE, start=1))
    if starts is None or ends is None or len(starts) != len(ends):
        raise node.error("starts or ends are missing, or of different numbers")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if len(axes) != len(starts) or len(steps) != len(starts):
        raise node.error(f"has {len(starts)} ranges, {len(axes)} axes and {len(steps)} steps")
    chosen = [node.axis(a, len(x.shape)) for a in axes]
    if len(set(chosen)) < len(chosen):
        raise node.error("names an axis twice")
    places = places_of(x)
    for axis, start, end, step in zip(chosen, starts, ends, steps, strict=True):
        if step == 0:
            raise node.error("has a step of zero")
        places = np.take(places, _range(start, end, step, x.shape[axis]), axis=axis)
    return node.taken(x, places)


_RANGE = ("starts", "ends", "axes", "steps")
_OPEN_ENDS = (2**31 - 1, 2**63 - 1)


def _listed(node: NodeView, index: int, key: str) -> list[int] | None:
    """Whole numbers given as an attribute, or as input `index`; None where they are left out."""
    found = node.attribute(key)
    if found is None:
        constant = node.constant(index, f"`{key}`")
        found = None if constant is None else constant.reshape(-1).tolist()
    return None if found is None else [int(v) for v in found]


def _range(start: int, end: int, step: int, n: int) -> np.ndarray:
    """The positions that Slice takes of n, as onnxruntime clamps its ends.

    Unlike numpy it moves a start before the first element onto it where it goes backwards, and reads the
    largest whole numbers as ends left open, both ways.
    """
    low, high = (-1, n - 1) if step < 0 else (0, n)
    start = start + n if start < 0 else start
    start = min(max(start, 0), high)
    last = low if step < 0 else n
    if end not in _OPEN_ENDS:
        last = min(max(end + n if end < 0 else end, low), n)
    return np.arange(start, last, step)


@reads("Split")
def _split(node: NodeView) -> list[Operand]:
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
    sizes = node.attribute("split")
    if sizes is None:
        found = node.constant(1, "the sizes of the parts")
        sizes = None if found is None else found.reshape(-1).tolist()
    if sizes is None:
        size = -(-x.shape[axis] // node.output_count)
        sizes = [size] * (node.output_count - 1)
        sizes.append(x.shape[axis] - sum(sizes))
    if sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0:
        raise node.error(f"cannot split {x.shape[axis]} elements into {list(sizes)}")
    ends = np.cumsum([int(s) for s in sizes])[:-1]
    return [node.taken(x, part) for part in np.split(places_of(x), ends, axis=axis)]


@reads("Gather")
def _gather(node: NodeView) -> Operand:
    x = node.variable()
    found = node.operand(1)
    if found is None:
        raise node.error("the indices are missing")
    axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
    if isinstance(found, Value):
        return picked(node, x, found, axis, elements=False)
    index = np.where(found < 0, found + x.shape[axis], found)
    return node.taken(x, np.take(places_of(x), index, axis=axis))


@reads("Pad")
def _pad(node: NodeView) -> Operand:
    """A constant border as zeros plus a shift; other borders pick elements."""
    x = node.variable()
    before, after = _pad_widths(node, len(x.shape))
    node.within_limit(b + n + a for b, n, a in zip(before, x.shape, after, strict=True))
    mode = node.attribute("mode", "constant")
    if mode != "constant":
        return node.taken(x, _bordered(node, places_of(x), before, after, mode))
    constant = node.constant(2, "the padding value")
    fill = float(node.attribute("value", 0.0) if constant is None else constant.reshape(-1)[0])
    padded = node.add(Pad(before, after), x)
    if fill == 0.0:
        return padded
    inside = Pad(before, after).linear(torch.ones(1, *x.shape, dtype=torch.float64))[0].numpy()
    return scaled(node, padded, None, np.where(inside > 0, 0.0, fill))


def _pad_widths(node: NodeView, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths before and after each axis, from attributes (before opset 11) or inputs."""
    widths = node.attribute("pads", node.attribute("paddings"))
    if widths is None:
        widths = np.asarray(node.constant(1, "the padding")).reshape(-1).tolist()
    axes = node.constant(3, "the list of axes")
    chosen = list(range(rank)) if axes is None else [node.axis(int(a), rank) for a in axes.reshape(-1)]
    if len(widths) != 2 * len(chosen):
        raise node.error(f"has {len(widths)} widths for {len(chosen)} axes")
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(chosen):
        before[axis], after[axis] = int(widths[k]), int(widths[k + len(chosen)])
    return tuple(before), tuple(after)


def _bordered(
    node: NodeView, places: np.ndarray, before: tuple[int, ...], after: tuple[int, ...], mode: str
) -> np.ndarray:
    """Positions with a border that repeats or mirrors them."""
    pairs = list(zip(before, after, strict=True))
    if any(width < 0 for pair in pairs for width in pair):
        raise node.unsupported(f"negative padding in mode {mode!r}")
    if mode == "reflect":
        return np.pad(places, pairs, mode="reflect")
    if mode == "edge":
        return np.pad(places, pairs, mode="edge")
    if mode == "wrap":
        return np.pad(places, pairs, mode="wrap")
    raise node.unsupported(f"padding mode {mode!r}")


@reads("Expand")
def _expand(node: NodeView) -> Operand:
    x = node.variable()
    found = node.constant(1, "the new shape")
    shape = node.broadcast(x.shape, tuple(int(n) for n in np.asarray(found).reshape(-1)))
    return node.expanded(x, shape)


@reads("Tile")
def _tile(node: NodeView) -> Operand:
    x = node.variable()
    repeats = [int(n) for n in np.asarray(node.constant(1, "the repeats")).reshape(-1)]
    node.within_limit([*repeats, x.size])
    return node.taken(x, np.tile(places_of(x), repeats))
