# SPDX-License-Identifier: Apache-2.0
"""One call of a torch operator as its reader sees it, and the table of readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vnnverify.errors import UnsupportedModelError
from vnnverify.ir import Node, Op, Shape, Value
from vnnverify.ops.arrangement import Constant, Expand, Reshape

__all__ = ["Builder", "Call", "Operand", "Reader", "reader_of", "reads"]

Operand = Value | Tensor
"""What a call takes or gives: computed from the module's inputs, or a tensor of the module."""

Reader = Callable[["Call"], Operand | Sequence[Operand]]

_readers: dict[str, Reader] = {}


def reads(*names: str) -> Callable[[Reader], Reader]:
    """Decorator: the function reads the operators `aten::name`, whatever their overload."""

    def register(function: Reader) -> Reader:
        for name in names:
            assert name not in _readers, name
            _readers[name] = function
        return function

    return register


def reader_of(name: str) -> Reader | None:
    """The reader of an operator, if there is one."""
    return _readers.get(name)


@dataclass(slots=True)
class Builder:
    """The nodes so far. All have the module's device and float type."""

    device: torch.device
    dtype: torch.dtype
    nodes: list[Node] = field(default_factory=list)

    def add(self, op: Op, *inputs: Value, name: str) -> Value:
        """Append a node and return its output. Tensors that fit already are kept as they are."""
        op = op.to(self.device, self.dtype)
        with torch.no_grad():
            zeros = (torch.zeros(1, *v.shape, device=self.device, dtype=self.dtype) for v in inputs)
            shape = tuple(op(*zeros).shape[1:])
        output = Value(f"{name}#{len(self.nodes)}", shape)
        self.nodes.append(Node(op, inputs, output, name))
        return output


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its arguments by their names in the operator's schema, defaults included."""

    function: Callable[..., Any]  # the operator itself
    operator: str  # its name, without overload
    name: str  # of the nodes: the sub-module that makes the call, else the call
    place: str  # what messages call that sub-module
    arguments: Mapping[str, Any]
    builder: Builder

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any = None) -> Any:
        """An argument that only some overloads have."""
        return self.arguments.get(argument, default)

    def add(self, op: Op, *inputs: Value) -> Value:
        """Append a node named after this call."""
        return self.builder.add(op, *inputs, name=self.name)

    def variable(self, operand: Operand) -> Value:
        """An operand as a value; a constant becomes a node of its own."""
        return operand if isinstance(operand, Value) else self.add(Constant(self.floats(operand)))

    def input(self, argument: str = "input") -> Value:
        """An argument that must be computed from the module's inputs; it may be called `self` too."""
        name = argument if argument in self.arguments else "self"
        return self.variable(self.arguments[name])

    def constant(self, argument: str) -> Tensor | None:
        """An argument that must be a tensor of the module, or None.

        Raises:
            UnsupportedModelError: it is computed from the module's inputs.
        """
        found = self.arguments.get(argument)
        if isinstance(found, Value):
            raise self.unsupported(f"a {argument} computed from the input")
        return None if found is None else self.floats(found)

    def floats(self, tensor: Tensor) -> Tensor:
        """A constant as floats.

        Raises:
            UnsupportedModelError: it is a parameter of another float type than the rest.
        """
        if tensor.requires_grad and tensor.dtype != self.builder.dtype:
            raise self.unsupported(f"a parameter in {tensor.dtype} among others in {self.builder.dtype}")
        return tensor.to(self.builder.device, self.builder.dtype)

    def number(self, argument: str, default: float) -> float:
        """An argument that must be a number.

        Raises:
            UnsupportedModelError: it is a tensor.
        """
        found = self.arguments.get(argument, default)
        if isinstance(found, Value | Tensor):
            raise self.unsupported(f"a tensor as {argument}")
        return default if found is None else float(found)

    def filled(self, number: float, rank: int) -> Tensor:
        """A number as a constant that broadcasts against a value of this rank."""
        return torch.full((1,) * rank, number, device=self.builder.device, dtype=self.builder.dtype)

    def expanded(self, x: Value, shape: Shape) -> Value:
        """x broadcast to a larger shape."""
        return x if x.shape == shape else self.add(Expand.of(x.shape, shape), x)

    def aligned(self, *values: Value) -> list[Value]:
        """Values brought to one common shape."""
        shape = self.broadcast(*(v.shape for v in values))
        return [self.expanded(v, shape) for v in values]

    def broadcast(self, *shapes: Shape) -> Shape:
        """The common shape."""
        return tuple(int(n) for n in np.broadcast_shapes(*shapes))

    def reshaped(self, x: Value, shape: Sequence[int]) -> Value:
        """x in another shape of the same size; one −1 stands for what is left."""
        known = prod(n for n in shape if n != -1)
        wanted = tuple(x.size // max(known, 1) if n == -1 else int(n) for n in shape)
        return x if wanted == x.shape else self.add(Reshape(wanted), x)

    def unsupported(self, what: str) -> UnsupportedModelError:
        """The error for a call that cannot be read."""
        return UnsupportedModelError(f"{self.place}: {what} is not supported ({self.operator})")
