# SPDX-License-Identifier: Apache-2.0
"""Sequences of tensors, and optional ones, as exporters write them where a list or None stood in the program.

Their lengths and the places in them are constant, so that no node of the graph is left of them: a sequence is
the list of its tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.folding import FOLD_LIMIT
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Constant, Select

__all__ = ["NOTHING", "SEQUENCES", "Given", "Known", "TensorList", "tensors"]


@dataclass(frozen=True, slots=True, eq=False)
class TensorList:
    """A sequence of tensors; or, if `absent`, an optional value that is not there."""

    items: tuple[Operand, ...]
    absent: bool = False


NOTHING = TensorList((), absent=True)

Known = Operand | TensorList
"""What may be known of a name."""

Given = Sequence[Known | None]
"""A node's arguments; None: left out."""

Found = tuple[Known, np.dtype]
"""A result and its element type; of a sequence that of its tensors."""

_MOST_ITEMS = 1 << 16
"""Longest sequence."""


def tensors(args: Given) -> tuple[Operand | None, ...]:
    """The arguments that are tensors; None in place of the others."""
    return tuple(None if isinstance(a, TensorList) else a for a in args)


def _construct(node: NodeView, args: Given) -> Found:
    items = tuple(a for a in tensors(args) if a is not None)
    kinds = [kind for kind in node.types if kind is not None]
    if not items or len(items) < len(args) or len(set(kinds)) != 1:
        raise node.error("makes a sequence of what are not tensors of one type")
    return TensorList(items), kinds[0]


def _empty(node: NodeView, args: Given) -> Found:
    kind = node.attribute("dtype", onnx.TensorProto.FLOAT)
    return TensorList(()), np.dtype(onnx.helper.tensor_dtype_to_np_dtype(int(kind)))


def _at(node: NodeView, args: Given) -> Found:
    items = _items(node, args)
    return items[_place(node, len(items), len(items) - 1)], _kind(node)


def _length(node: NodeView, args: Given) -> Found:
    return np.array(len(_items(node, args)), dtype=np.int64), np.dtype(np.int64)


def _insert(node: NodeView, args: Given) -> Found:
    items = list(_items(node, args))
    new = tensors(args)[1] if len(args) > 1 else None
    if new is None or (items and node.types[1] != node.types[0]):
        raise node.error("what it inserts is not a tensor of the sequence's type")
    place = _place(node, len(items), len(items), index=2, default=len(items))
    if len(items) >= _MOST_ITEMS:
        raise node.unsupported(f"a sequence of more than {_MOST_ITEMS:,} tensors")
    return TensorList((*items[:place], new, *items[place:])), _kind(node, 1)


def _erase(node: NodeView, args: Given) -> Found:
    items = _items(node, args)
    place = _place(node, len(items), len(items) - 1, default=-1)
    return TensorList((*items[:place], *items[place + 1 :])), _kind(node)


def _split(node: NodeView, args: Given) -> Found:
    """Pieces of one size, the last one perhaps smaller, or of the sizes given; slices if there are none."""
    x = node.operand(0)
    if x is None:
        raise node.error("what it splits is not a tensor")
    axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
    extent = x.shape[axis]
    sizes = node.constant(1, "the sizes")
    if sizes is None:
        lengths = [1] * extent
    elif sizes.ndim == 0:
        size = int(sizes)
        if size <= 0:
            raise node.error(f"splits into pieces of {size}")
        lengths = [size] * (extent // size) + [extent % size] * (extent % size > 0)
    else:
        lengths = [int(n) for n in sizes.reshape(-1)]
    if min(lengths, default=0) < 0 or sum(lengths) != extent:
        raise node.error(f"splits {extent} into {lengths[:8]}")
    if len(lengths) > _MOST_ITEMS:
        raise node.unsupported(f"a sequence of more than {_MOST_ITEMS:,} tensors")
    squeezed = sizes is None and not node.attribute("keepdims", 1)
    starts = np.cumsum([0, *lengths])
    pieces = (_piece(node, x, axis, int(s), n, squeezed) for s, n in zip(starts[:-1], lengths, strict=True))
    return TensorList(tuple(pieces)), _kind(node)


def _piece(node: NodeView, x: Operand, axis: int, start: int, length: int, squeezed: bool) -> Operand:
    if isinstance(x, np.ndarray):
        part = np.take(x, range(start, start + length), axis=axis)
        return part.squeeze(axis) if squeezed else part
    index = torch.arange(x.size).reshape(x.shape).narrow(axis, start, length)
    index = index.squeeze(axis) if squeezed else index
    return node.add(Select.of(index, tuple(index.shape)), x)


def _concatenated(node: NodeView, args: Given) -> Found:
    items = _items(node, args)
    if not items:
        raise node.error("joins the tensors of an empty sequence")
    new = bool(node.attribute("new_axis", 0))
    axis = node.axis(int(node.attribute("axis")), len(items[0].shape) + new)
    node.within_limit((sum(int(np.prod(x.shape)) for x in items),))
    arrays = [x for x in items if isinstance(x, np.ndarray)]
    if len(arrays) == len(items):
        if sum(array.nbytes for array in arrays) > FOLD_LIMIT:
            raise node.error("makes a constant of too many bytes; refused")
        return (np.stack if new else np.concatenate)(arrays, axis=axis), _kind(node)
    values = [x if isinstance(x, Value) else node.add(Constant(as_tensor(x))) for x in items]
    if new:
        values = [node.reshaped(v, (*v.shape[:axis], 1, *v.shape[axis:])) for v in values]
    return node.add(Concat(axis), *values), _kind(node)


def _optional(node: NodeView, args: Given) -> Found:
    if not args or args[0] is None:
        return NOTHING, np.dtype(np.float32)
    return args[0], _kind(node)


def _has_element(node: NodeView, args: Given) -> Found:
    there = bool(args) and args[0] is not None and args[0] is not NOTHING
    return np.array(there), np.dtype(bool)


def _get_element(node: NodeView, args: Given) -> Found:
    if not args or args[0] is None or args[0] is NOTHING:
        raise node.error("takes the value of an optional one that is not there")
    return args[0], _kind(node)


SEQUENCES: dict[str, Callable[[NodeView, Given], Found]] = {
    "ConcatFromSequence": _concatenated,
    "Optional": _optional,
    "OptionalGetElement": _get_element,
    "OptionalHasElement": _has_element,
    "SequenceAt": _at,
    "SequenceConstruct": _construct,
    "SequenceEmpty": _empty,
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SequenceLength": _length,
    "SplitToSequence": _split,
}
"""Operators with sequences or optional values, and what they make of what is given."""


def _items(node: NodeView, args: Given) -> tuple[Operand, ...]:
    found = args[0] if args else None
    if not isinstance(found, TensorList) or found.absent:
        raise node.error("its input is not a sequence of tensors")
    return found.items


def _kind(node: NodeView, index: int = 0) -> np.dtype:
    found = node.types[index]
    if found is None:
        raise node.error(f"input {index} is missing")
    return found


def _place(node: NodeView, length: int, last: int, *, index: int = 1, default: int | None = None) -> int:
    """The place in the sequence that an input says, from 0; negative ones count from its end.

    Raises:
        ModelError: missing, or not in the sequence.
    """
    found = node.constant(index, "a place in a sequence")
    if found is None and default is None:
        raise node.error("the place in the sequence is missing")
    place = default if found is None else int(found.reshape(-1)[0])
    assert place is not None
    if not -length <= place <= last:
        raise node.error(f"place {place} is not in a sequence of {length}")
    return place + length if place < 0 else place
