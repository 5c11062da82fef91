# SPDX-License-Identifier: Apache-2.0
"""Sizes of dynamic axes, from how many elements the inputs have in all."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import count, islice
from math import prod

import onnx

from vnnverify.errors import ModelError
from vnnverify.ir import Shape

__all__ = ["model_inputs", "sized_inputs"]

_MOST_TRIES = 1 << 11
"""Sizes that are tried out; more are needed only where several axes of several inputs are dynamic."""

_MOST_NAMES = 16
"""Dynamic axes of different names up to which sizes are looked for."""
_REMEDY = "declare the shape in a property of VNN-LIB 2.0, or fix it in the model"

Axes = Sequence[int | str]
"""An input's axes: their sizes, or names of dynamic ones."""


def model_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs of the graph; files of old versions list the initializers among them, which are none."""
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def sized_inputs(graph: onnx.GraphProto, elements: int) -> list[Shape] | None:
    """The shapes of the inputs with so many elements in all. Axes of the same name have the same size.

    None if no axis is dynamic, or the number is right where all of them are 1.

    Raises:
        ModelError: no sizes, or several, make that number.
    """
    inputs = [value for value in model_inputs(graph) if value.type.HasField("tensor_type")]
    axes = [_axes(value) for value in inputs]
    names = list(dict.fromkeys(axis for one in axes for axis in one if isinstance(axis, str)))
    if not names or _total(axes, dict.fromkeys(names, 1)) == elements:
        return None
    tries = iter(range(_MOST_TRIES))
    few = len(names) <= _MOST_NAMES
    found = list(islice(_solutions(axes, {}, names, elements, tries), 2)) if few else []
    if not few or (len(found) < 2 and next(tries, None) is None):
        raise ModelError(
            f"the {elements:,} inputs of the property leave the {len(names)} dynamic axes of the model open; "
            f"{_REMEDY}"
        )
    if len(found) == 1:
        return [_shape(one, found[0]) for one in axes]
    shown = ", ".join(f"{v.name} {_written(one)}" for v, one in zip(inputs, axes, strict=True))
    if not found:
        raise ModelError(
            f"no sizes of the dynamic axes of {shown} make the {elements:,} inputs of the property; check "
            "that the two belong together"
        )
    ways = " or ".join(" and ".join(str(list(_shape(one, way))) for one in axes) for way in found)
    raise ModelError(
        f"the {elements:,} inputs of the property leave the dynamic axes of {shown} open: {ways}; {_REMEDY}"
    )


def _axes(value: onnx.ValueInfoProto) -> Axes:
    return [
        axis.dim_value if axis.dim_value > 0 else axis.dim_param or f"{value.name}#{k}"
        for k, axis in enumerate(value.type.tensor_type.shape.dim)
    ]


def _written(axes: Axes) -> str:
    return f"[{', '.join('?' if isinstance(a, str) and '#' in a else str(a) for a in axes)}]"


def _shape(axes: Axes, sizes: dict[str, int]) -> Shape:
    return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes)


def _total(inputs: Sequence[Axes], sizes: dict[str, int]) -> int:
    return sum(prod(_shape(axes, sizes)) for axes in inputs)


def _solutions(
    inputs: Sequence[Axes], sizes: dict[str, int], names: Sequence[str], elements: int, tries: Iterator[int]
) -> Iterator[dict[str, int]]:
    """The sizes of the named axes with which the inputs have so many elements, which grow with each of them.

    Args:
        sizes: of the other axes.
        tries: ends when there were enough.
    """
    first, rest = names[0], names[1:]
    if not rest:
        size = bisect_left(
            range(elements + 1), elements, lo=1, key=lambda n: _total(inputs, {**sizes, first: n})
        )
        if _total(inputs, {**sizes, first: size}) == elements:
            yield {**sizes, first: size}
        return
    ones = dict.fromkeys(rest, 1)
    for size in count(1):
        if next(tries, None) is None or _total(inputs, {**sizes, first: size, **ones}) > elements:
            return
        yield from _solutions(inputs, {**sizes, first: size}, rest, elements, tries)
