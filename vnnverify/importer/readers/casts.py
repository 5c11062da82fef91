# SPDX-License-Identifier: Apache-2.0
"""Cast and CastLike: numbers as ones of another type, with what the type cannot hold rounded, cut or wrapped.

What leaves the range of a whole type is undefined in C++, and differs between processors: it counts as
wrapped where onnxruntime does so here, and as unknown elsewhere.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor, log2

import numpy as np
import onnx
from onnx import TensorProto, helper

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.element_types import finfo, fits, is_whole, whole_range
from vnnverify.importer.folding import evaluate
from vnnverify.importer.readers.arithmetic import negated, scaled
from vnnverify.importer.readers.whole import reach, wrapped
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.piecewise import Clip, Relu, Tent
from vnnverify.ops.rounding import Rounded, Within
from vnnverify.ops.steps import Floor, Spike, Trunc
from vnnverify.ops.sums import Sum

__all__ = ["named_type", "rounded"]

_EXACT = ("float32", "float64")
_ROUNDED = ("float16", "bfloat16")
_BYTES = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
_SINGLE = np.dtype(np.float32)
_ONE = np.array(1.0)


@reads("Cast", "CastLike")
def _cast(node: NodeView) -> Operand:
    """Between types that hold the same numbers, nothing."""
    to = _target(node)
    given = node.types[0]
    x = node.operand(0)
    if isinstance(x, np.ndarray):  # like a variable, whose type alone matters
        proto = helper.make_node("Cast", ["x"], ["y"], to=helper.np_dtype_to_tensor_dtype(to))
        return evaluate(proto, [x], node.opset, node.title)[0]
    assert x is not None and given is not None
    _refuse_what_is_left_out(node, x, given, to)
    if to.kind == "b":
        return _is_true(node, x, is_whole(given))
    if not is_whole(to):
        return rounded(node, x, given, to, bool(node.attribute("saturate", 1)))
    return wrapped(node, _cut_once(node, x, to), to) if is_whole(given) else _cut(node, x, given, to)


def _target(node: NodeView) -> np.dtype:
    if node.op_type == "CastLike":
        like = node.types[1]
        assert like is not None
        return like
    return named_type(node, "to", _SINGLE)


def named_type(node: NodeView, key: str, default: np.dtype) -> np.dtype:
    """The element type that an attribute names by its number.

    Raises:
        UnsupportedModelError: it is text.
        ModelError: there is no such type.
    """
    number = int(node.attribute(key, 0))
    if not number:
        return default
    if number == TensorProto.STRING:
        raise node.unsupported("a cast to text")
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, ValueError) as error:
        raise node.error(f"names an unknown element type, number {number}") from error


def _is_true(node: NodeView, x: Value, whole: bool) -> Value:
    return scaled(node, node.add(Tent() if whole else Spike(), x), np.array(-1.0), _ONE)


def rounded(node: NodeView, x: Value, given: np.dtype, to: np.dtype, saturate: bool = True) -> Value:
    """x as the nearest number of a floating-point type. Over the reals, single precision rounds nothing.

    Args:
        saturate: what exceeds a type of 8 bits becomes its largest number.

    Raises:
        UnsupportedModelError: a type that is rounded otherwise.
    """
    if given == to or to.name in _EXACT:
        return x
    if to.name not in (*_ROUNDED, *_BYTES):
        raise node.unsupported(f"a cast to {to}")
    info = finfo(to)
    digits, largest = info.nmant + 1, float(info.max)
    if is_whole(given) and all(abs(end) <= 1 << digits for end in reach(node.builder, x)):
        return x
    half = 2.0 ** (floor(log2(largest)) - digits)  # from the middle to the next one on it would be infinite
    if to.name in _BYTES and saturate:
        x, half = node.add(Clip(-largest, largest), x), largest
    least = int(log2(float(info.smallest_subnormal)))
    return node.add(Rounded(digits, least, largest + half), x)


def _refuse_what_is_left_out(node: NodeView, x: Value, given: np.dtype, to: np.dtype) -> None:
    """Of two casts in a row, where the second is to bytes, onnxruntime leaves out the first; and a negative
    zero of 8 bits counts as true.

    Raises:
        UnsupportedModelError: the first one has rounded x, or truth is asked for.
    """
    made = node.builder.producer(x)
    if (
        to.name in ("int8", "uint8")
        and given.itemsize > 1
        and made is not None
        and isinstance(made.op, Rounded)
    ):
        raise node.unsupported(f"a cast to {given} and then at once to {to}")
    if to.kind == "b" and given.name in _BYTES:
        raise node.unsupported(f"the truth value of {given}")


def _cut_once(node: NodeView, x: Value, to: np.dtype) -> Value:
    """Of two casts in a row from floats to ever shorter whole numbers, onnxruntime leaves out the first: they
    are the same only for numbers of 32 bits."""
    made = node.builder.producer(x)
    while made is not None and isinstance(made.op, Clip | Sum):  # the steps of `wrapped`
        made = node.builder.producer(made.inputs[0])
    if made is None or not isinstance(made.op, Within) or fits(*reach(node.builder, x), to):
        return x
    return node.add(Within(-(2.0**31) - 1, 2.0**31), x)


def _cut(node: NodeView, x: Value, given: np.dtype, to: np.dtype) -> Value:
    """Floats cut towards zero, or of 2 and 4 bits rounded with halves away from zero, then wrapped."""
    low, high = whole_range(to)
    short = high - low < 16
    cut = _halves_away(node, x) if short else node.add(Trunc(), x)
    if fits(*reach(node.builder, cut), to):
        return cut
    wide = 63 if high - low >= 1 << 62 else 31
    ends = -float(1 << wide) - 1, max(float(1 << wide), float(high + 1))
    if not _wraps(given, to):
        ends = float(low - 1), float(high + 1)
    return wrapped(node, node.add(Within(*ends), cut), to)


def _halves_away(node: NodeView, x: Value) -> Value:
    half = np.array(0.5)
    right, left = (
        node.add(Floor(), scaled(node, node.add(Relu(), part), None, half)) for part in (x, negated(node, x))
    )
    return node.add(Sum((1, -1)), right, left)


@lru_cache(maxsize=128)
def _wraps(given: np.dtype, to: np.dtype) -> bool:
    """Whether onnxruntime gives the lowest digits of floats that a whole type cannot hold."""
    low, high = whole_range(to)
    count = high - low + 1
    if count > 1 << 32:
        return False
    whole = np.array([low - 3, high + 5, high + count + 2, low - count - 1, -1, 7] * 3, dtype=np.float64)
    with np.errstate(over="ignore"):
        exact = whole.astype(given).astype(np.float64) == whole
    whole = np.where((np.abs(whole) < 2**31) & exact, whole, 0)
    proto = helper.make_node("Cast", ["x"], ["y"], to=helper.np_dtype_to_tensor_dtype(to))
    try:
        (found,) = evaluate(proto, [whole.astype(given)], 25 if count < 16 else 21, "a cast")
    except UnsupportedModelError:
        return False
    expected = np.mod(whole - low, count) + low
    return bool((found.astype(np.float64) == expected).all())
