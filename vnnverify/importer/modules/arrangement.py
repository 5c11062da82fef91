# SPDX-License-Identifier: Apache-2.0
"""Operators that only move numbers around."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vnnverify.importer.modules.call import Call, Operand, reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Pad, Select, Transpose

__all__: list[str] = []


@reads("clone", "contiguous", "alias", "detach", "lift_fresh_copy")
def _same(call: Call) -> Operand:
    return call.input()


@reads("_assert_tensor_metadata")
def _asserted(call: Call) -> Operand:
    """Holds, or the module could not have been traced."""
    return call.variable(call["a"])


@reads("to", "_to_copy", "type_as")
def _cast(call: Call) -> Operand:
    """To the type that the module has anyway."""
    dtype = call.get("dtype")
    if dtype is not None and dtype != call.builder.dtype:
        raise call.unsupported(f"a cast to {dtype}")
    return call.input()


@reads(
    "view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"
)
def _reshape(call: Call) -> Operand:
    return call.reshaped(call.input(), tuple(_places(call)[0].shape))


@reads("permute", "transpose", "t", "numpy_T", "movedim", "swapaxes")
def _permute(call: Call) -> Operand:
    """Found from where a stride of each axis ends up."""
    x = call.input()
    rank = len(x.shape)
    marked = torch.empty(tuple(range(2, rank + 2)), device="meta")  # every axis has a length of its own
    moved = _applied(call, marked)
    assert isinstance(moved, Tensor)
    return call.add(Transpose(tuple(n - 2 for n in moved.shape)), x)


@reads("expand", "expand_as", "broadcast_to")
def _expand(call: Call) -> Operand:
    return call.expanded(call.input(), tuple(_places(call)[0].shape))


@reads(
    "slice",
    "select",
    "narrow",
    "index_select",
    "index",
    "gather",
    "chunk",
    "split",
    "split_with_sizes",
    "unbind",
    "flip",
    "roll",
    "repeat",
    "tile",
    "repeat_interleave",
    "diagonal",
    "unfold",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
    "reflection_pad1d",
    "reflection_pad2d",
    "replication_pad1d",
    "replication_pad2d",
    "upsample_nearest2d",
)
def _taken(call: Call) -> Operand | Sequence[Operand]:
    """Any choice of elements: the operator itself says which, from the numbers of their places."""
    x = call.input()
    found = [call.add(Select.of(p.long().to(call.builder.device), tuple(p.shape)), x) for p in _places(call)]
    return found if call.operator in ("chunk", "split", "split_with_sizes", "unbind") else found[0]


def _places(call: Call) -> list[Tensor]:
    """What the call makes of the numbers of the places of its input."""
    x = call.input()
    places = torch.arange(x.size, dtype=torch.float64).reshape(x.shape)
    found = _applied(call, places)
    return [found] if isinstance(found, Tensor) else list(found)


def _applied(call: Call, x: Tensor) -> Tensor | Sequence[Tensor]:
    """What the operator makes of x in place of its input.

    Raises:
        UnsupportedModelError: places are computed from the input.
    """
    name = "input" if "input" in call.arguments else "self"
    rest = {}
    for key, value in call.arguments.items():
        if isinstance(value, Value):
            if not call.operator.endswith("_as") and key != name:
                raise call.unsupported("a place computed from the input")
            value = torch.empty(value.shape, device=x.device)  # only its shape matters
        rest[key] = value
    found: Tensor | Sequence[Tensor] = call.function(**{**rest, name: x})
    return found


@reads("cat", "concat", "concatenate")
def _concat(call: Call) -> Operand:
    parts = [call.variable(part) for part in call["tensors"]]
    return call.add(Concat(int(call["dim"]) % len(parts[0].shape)), *parts)


@reads("stack")
def _stack(call: Call) -> Operand:
    parts = [call.variable(part) for part in call["tensors"]]
    shape = parts[0].shape
    axis = int(call["dim"]) % (len(shape) + 1)
    wide = (*shape[:axis], 1, *shape[axis:])
    return call.add(Concat(axis), *(call.reshaped(part, wide) for part in parts))


@reads("pad", "constant_pad_nd")
def _pad(call: Call) -> Operand:
    """Zeros, from the last axis on."""
    if call.get("mode", "constant") != "constant" or call.number("value", 0.0) != 0.0:
        raise call.unsupported("padding with anything but zeros")
    x, widths = call.input(), [int(w) for w in call["pad"]]
    missing = len(x.shape) - len(widths) // 2
    before = (0,) * missing + tuple(reversed(widths[::2]))
    return call.add(Pad(before, (0,) * missing + tuple(reversed(widths[1::2]))), x)
