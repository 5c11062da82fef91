# SPDX-License-Identifier: Apache-2.0
"""Collects nodes while an ONNX graph is read. An operand is a `Value` or a constant array."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer.element_types import is_whole
from vnnverify.ir import Node, Op, Shape, Value
from vnnverify.ops.arrangement import Constant, Expand, Reshape, Select
from vnnverify.ops.piecewise import Clip

__all__ = ["REMEDY", "SIZE_LIMIT", "Builder", "NodeReader", "NodeView", "Operand", "as_tensor", "places_of"]

Operand = Value | np.ndarray

REMEDY = "a backend that takes black boxes may still run it: see `vnnverify backends`"

SIZE_LIMIT = 1 << 28
"""Largest number of elements of one value: a few bytes of model can ask for terabytes."""


@dataclass(slots=True)
class Builder:
    """The nodes so far."""

    nodes: list[Node] = field(default_factory=list)
    types: dict[Value, np.dtype] = field(default_factory=dict)  # of the inputs and of what ONNX nodes give
    _makers: dict[Value, Node] = field(default_factory=dict)

    def add(self, op: Op, *inputs: Value, name: str) -> Value:
        """Append a node and return its output value.

        Raises:
            ModelError: a constant of the operator is NaN or infinite.
            RuntimeError: the operator does not fit the shapes of its inputs.
        """
        for part in dataclasses.fields(op):
            value = getattr(op, part.name)
            if isinstance(value, Tensor | float) and not _is_finite(value) and not isinstance(op, Clip):
                raise ModelError(f"node {name!r}: has NaN or infinity among its constants; export it again")
        shape = op.output_shape(*(v.shape for v in inputs))
        output = Value(f"{name}#{len(self.nodes)}", shape)
        made = Node(op, inputs, output, name)
        self.nodes.append(made)
        self._makers[output] = made
        return output

    def producer(self, value: Value) -> Node | None:
        """The node that computes a value; None for an input."""
        return self._makers.get(value)


@dataclass(frozen=True, slots=True)
class NodeView:
    """One ONNX node as its reader sees it: no protobuf."""

    name: str  # for messages
    op_type: str
    attributes: Mapping[str, Any]
    inputs: tuple[Operand | None, ...]  # None: an optional input left out
    output_count: int
    opset: int
    builder: Builder
    types: tuple[np.dtype | None, ...] = ()  # element types of the inputs

    def is_whole(self, index: int) -> bool:
        """Whether input `index` holds whole numbers or truth values."""
        found = self.types[index] if index < len(self.types) else None
        return found is not None and is_whole(found)

    def attribute(self, key: str, default: Any = None) -> Any:
        """An attribute as a Python value; a default is rounded to float32, as attributes are."""
        rounded = float(np.float32(default)) if isinstance(default, float) else default
        return self.attributes.get(key, rounded)

    def operand(self, index: int) -> Operand | None:
        """Input `index`, or None if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int, what: str) -> np.ndarray | None:
        """Input `index`, which must be constant if present.

        Raises:
            UnsupportedModelError: it is computed from the network's inputs.
        """
        found = self.operand(index)
        if isinstance(found, Value):
            raise self.unsupported(f"{what} computed from the network's input")
        return found

    def variable(self, index: int = 0) -> Value:
        """Input `index` as a value; a constant becomes a node of its own."""
        found = self.operand(index)
        if found is None:
            raise self.error(f"input {index} is missing")
        if isinstance(found, Value):
            return found
        return self.add(Constant(as_tensor(found)))

    def variables(self) -> tuple[Value, ...]:
        """All inputs as values of one common shape."""
        return self.aligned(*(self.variable(k) for k in range(len(self.inputs))))

    def aligned(self, *values: Value) -> tuple[Value, ...]:
        """Values brought to one common shape by ONNX's broadcasting."""
        shape = self.broadcast(*(v.shape for v in values))
        return tuple(self.expanded(v, shape) for v in values)

    def broadcast(self, *shapes: Shape) -> Shape:
        """The common shape.

        Raises:
            ModelError: there is none.
        """
        try:
            return tuple(np.broadcast_shapes(*shapes))
        except ValueError as error:
            raise self.error(f"shapes {', '.join(map(str, shapes))} do not fit each other") from error

    def expanded(self, x: Value, shape: Shape) -> Value:
        """x broadcast to a larger shape."""
        shape = self.within_limit(shape)
        return x if x.shape == shape else self.add(Expand.of(x.shape, shape), x)

    def within_limit(self, shape: Iterable[int]) -> Shape:
        """The shape, before anything of that shape is made.

        Raises:
            ModelError: it has more than `SIZE_LIMIT` elements.
        """
        found = tuple(int(n) for n in shape)
        if prod(found) > SIZE_LIMIT:
            raise self.error(f"would make {prod(found):,} elements, more than {SIZE_LIMIT:,}; refused")
        return found

    def reshaped(self, x: Value, shape: Sequence[int]) -> Value:
        """x in another shape of the same size."""
        wanted = tuple(int(n) for n in shape)
        if prod(wanted) != x.size or min(wanted, default=1) < 0:
            raise self.error(f"cannot reshape {x.shape} to {wanted}")
        return x if wanted == x.shape else self.add(Reshape(wanted), x)

    def taken(self, x: Value, places: np.ndarray) -> Value:
        """The elements of x at these places, counted through all its axes, in the shape of `places`."""
        index = torch.from_numpy(np.array(places, dtype=np.int64, order="C"))
        return self.add(Select.of(index, tuple(places.shape)), x)

    def add(self, op: Op, *inputs: Value) -> Value:
        """Append a node named after this one."""
        return self.builder.add(op, *inputs, name=self.name)

    def axis(self, axis: int, rank: int) -> int:
        """A non-negative axis.

        Raises:
            ModelError: out of range.
        """
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is out of range for rank {rank}")
        return axis % rank

    @property
    def title(self) -> str:
        """What messages call this node."""
        return f"node {self.name!r} ({self.op_type})"

    def error(self, message: str) -> ModelError:
        """An error that names this node."""
        return ModelError(f"{self.title}: {message}")

    def unsupported(self, what: str) -> UnsupportedModelError:
        """The error for a valid node that this reader cannot read."""
        return UnsupportedModelError(f"{self.title}: {what} is not supported; {REMEDY}")


NodeReader = Callable[[NodeView], Operand | Sequence[Operand] | Sequence[Operand | None]]
"""Gives a node's outputs, None for those that cannot be read and so must not be used."""


def _is_finite(t: Tensor | float) -> bool:
    """The sum is quick, and finite only if every element is; it may overflow though they are."""
    if isinstance(t, float):
        return isfinite(t)
    return bool(torch.isfinite(t.sum())) or bool(torch.isfinite(t).all())


def places_of(x: Value) -> np.ndarray:
    """The number of each element of x, in its shape."""
    return np.arange(x.size).reshape(x.shape)


def as_tensor(array: np.ndarray) -> Tensor:
    """A float64 tensor of a constant."""
    return torch.from_numpy(np.array(array, dtype=np.float64))
