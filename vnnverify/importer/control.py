# SPDX-License-Identifier: Apache-2.0
"""If, Loop, Scan and SequenceMap: graphs inside a node.

A computed condition chooses between what both branches compute; loops whose length is constant are unrolled,
one copy of the body for each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.sequences import Given, Known, TensorList
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Constant, Select
from vnnverify.ops.choice import Choice

__all__ = ["CONTROL", "Body", "Results"]

Results = tuple[list[Known], list[np.dtype]]
"""What a graph computes, and its element types."""

Body = Callable[[str, str, Sequence[Known], Sequence[np.dtype]], Results]
"""Reads a graph of the node: takes the attribute's name, the name of the step, its inputs and their types."""

MOST_STEPS = 1 << 12
"""Longest loop: each step is a copy of the body."""


def read_if(node: NodeView, args: Given, body: Body) -> Results:
    """One branch, or with a computed condition the choice between both, output by output."""
    condition = node.operand(0)
    if condition is None:
        raise node.error("the condition is missing")
    if isinstance(condition, np.ndarray):
        return body("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch", "", (), ())
    (left, kinds), (right, others) = (body(name, name, (), ()) for name in ("then_branch", "else_branch"))
    found: list[Known] = []
    for a, b, kind, other in zip(left, right, kinds, others, strict=True):
        if isinstance(a, TensorList) or isinstance(b, TensorList):
            raise node.unsupported("a choice between sequences")
        if a.shape != b.shape or kind != other:
            raise node.unsupported(f"a choice between {kind} {a.shape} and {other} {b.shape}")
        truth = node.expanded(node.reshaped(condition, (1,) * len(a.shape)), a.shape)
        found.append(node.add(Choice(), truth, _value(node, a), _value(node, b)))
    return found, kinds


def read_loop(node: NodeView, args: Given, body: Body) -> Results:
    """Unrolled for as long as the count and the condition, both constant, say."""
    count = node.constant(0, "the number of steps")
    keep = node.constant(1, "the condition")
    goes_on = True if keep is None else bool(keep.reshape(-1)[0])
    steps = MOST_STEPS + 1 if count is None else int(count.reshape(-1)[0])
    carried, kinds = _given(node, args, 2)
    shown: list[Results] = []
    step = 0
    while goes_on and step < steps:
        if step == MOST_STEPS:
            raise node.unsupported(f"a loop of more than {MOST_STEPS:,} steps")
        inputs = [np.array(step, np.int64), np.array(True), *carried]
        found, made = body("body", str(step), inputs, [np.dtype(np.int64), np.dtype(bool), *kinds])
        end = found[0]
        if not isinstance(end, np.ndarray):
            raise node.unsupported("an end of the loop computed from the network's input")
        goes_on, step = bool(end.reshape(-1)[0]), step + 1
        last = 1 + len(carried)
        carried, kinds = found[1:last], made[1:last]
        shown.append((found[last:], made[last:]))
    return _collected(node, carried, kinds, shown, [0] * (node.output_count - len(carried)))


def read_scan(node: NodeView, args: Given, body: Body) -> Results:
    """Unrolled over the slices of the scanned inputs."""
    if node.opset < 9:
        raise node.unsupported("the variant before opset 9")
    operands, types = _given(node, args, 0)
    count = int(node.attribute("num_scan_inputs"))
    cut = len(operands) - count
    carried, kinds = operands[:cut], types[:cut]
    scanned = [_tensor(node, x) for x in operands[cut:]]
    axes = node.attribute("scan_input_axes") or [0] * count
    axes = [node.axis(int(a), len(x.shape)) for a, x in zip(axes, scanned, strict=True)]
    lengths = {x.shape[a] for a, x in zip(axes, scanned, strict=True)}
    if len(lengths) != 1:
        raise node.error(f"scans inputs of different lengths {sorted(lengths)}")
    (steps,) = lengths
    if steps > MOST_STEPS:
        raise node.unsupported(f"a scan of more than {MOST_STEPS:,} steps")
    back = node.attribute("scan_input_directions") or [0] * count
    shown: list[Results] = []
    for step in range(steps):
        slices = [
            _slice(node, x, axis, steps - 1 - step if turned else step)
            for x, axis, turned in zip(scanned, axes, back, strict=True)
        ]
        found, made = body("body", str(step), [*carried, *slices], types)
        carried, kinds = found[:cut], made[:cut]
        shown.append((found[cut:], made[cut:]))
    outputs = node.output_count - cut
    if any(node.attribute("scan_output_directions") or []):
        raise node.unsupported("outputs put together backwards")
    places = [int(a) for a in node.attribute("scan_output_axes") or [0] * outputs]
    return _collected(node, carried, kinds, shown, places)


def read_map(node: NodeView, args: Given, body: Body) -> Results:
    """The body for each place of the sequences; what is a tensor is the same for all."""
    operands, types = _given(node, args, 0)
    lengths = {len(x.items) for x in operands if isinstance(x, TensorList)}
    if not isinstance(operands[0], TensorList) or len(lengths) != 1:
        raise node.error(f"goes through sequences of different lengths {sorted(lengths)}")
    (steps,) = lengths
    if not 0 < steps <= MOST_STEPS:
        raise node.unsupported(f"a sequence of {steps:,} tensors to go through")
    shown = [
        body("body", str(step), [x.items[step] if isinstance(x, TensorList) else x for x in operands], types)
        for step in range(steps)
    ]
    lists: list[Known] = [
        TensorList(tuple(_tensor(node, found[k]) for found, _ in shown)) for k in range(node.output_count)
    ]
    return lists, shown[0][1]


CONTROL = {"If": read_if, "Loop": read_loop, "Scan": read_scan, "SequenceMap": read_map}
"""The operators with graphs inside, and their readers."""


def _given(node: NodeView, args: Given, first: int) -> Results:
    """The inputs from one on, and their types.

    Raises:
        ModelError: one is left out.
    """
    operands, kinds = [], []
    for operand, kind in zip(args[first:], node.types[first:], strict=True):
        if operand is None or kind is None:
            raise node.error("an input of the body is missing")
        operands.append(operand)
        kinds.append(kind)
    return operands, kinds


def _tensor(node: NodeView, x: Known) -> Operand:
    if isinstance(x, TensorList):
        raise node.error("a sequence stands where a tensor is needed")
    return x


def _value(node: NodeView, x: Operand) -> Value:
    return x if isinstance(x, Value) else node.add(Constant(as_tensor(x)))


def _slice(node: NodeView, x: Operand, axis: int, place: int) -> Operand:
    if isinstance(x, np.ndarray):
        return np.asarray(np.take(x, place, axis=axis))
    index = torch.arange(x.size).reshape(x.shape).select(axis, place)
    return node.add(Select.of(index, tuple(index.shape)), x)


def _collected(
    node: NodeView, carried: list[Known], kinds: list[np.dtype], shown: list[Results], axes: list[int]
) -> Results:
    """What is carried out of the last step, and what each step shows, along a new axis."""
    if axes and not shown:
        raise node.unsupported("outputs of a loop that is never entered")
    found, made = list(carried), list(kinds)
    for index, axis in enumerate(axes):
        parts = [_tensor(node, one[0][index]) for one in shown]
        found.append(_stacked(node, parts, axis))
        made.append(shown[0][1][index])
    return found, made


def _stacked(node: NodeView, parts: list[Operand], axis: int) -> Operand:
    axis = node.axis(axis, len(parts[0].shape) + 1)
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.stack([np.asarray(part) for part in parts], axis)
    wide = [_value(node, part) for part in parts]
    wide = [node.reshaped(v, (*v.shape[:axis], 1, *v.shape[axis:])) for v in wide]
    return node.add(Concat(axis), *wide)
