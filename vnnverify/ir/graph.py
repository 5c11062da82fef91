# SPDX-License-Identifier: Apache-2.0
"""The graph that every backend sees: values, nodes in topological order, one operator per node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from vnnverify.ir.op import Op, Shape, flat

__all__ = ["Graph", "Node", "Value"]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A named tensor. `shape` is the ONNX shape with dynamic axes set to 1; identity is equality."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One application of an operator. `name` is the ONNX node it came from, for messages."""

    op: Op
    inputs: tuple[Value, ...]
    output: Value
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A pure function from the flattened inputs to the flattened outputs. Never mutated."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]

    @property
    def input_size(self) -> int:
        """n: elements of all inputs together."""
        return sum(value.size for value in self.inputs)

    @property
    def output_size(self) -> int:
        """m: elements of all outputs together."""
        return sum(value.size for value in self.outputs)

    def split_inputs(self, x: Tensor) -> dict[Value, Tensor]:
        """Cut flat points (batch, n) into the input values, each (batch, *shape)."""
        parts = torch.split(x, [value.size for value in self.inputs], dim=1)
        return {v: part.reshape(-1, *v.shape) for v, part in zip(self.inputs, parts, strict=True)}

    def join_outputs(self, values: dict[Value, Tensor]) -> Tensor:
        """Flatten and concatenate the output values: (batch, m)."""
        return torch.cat([flat(values[v]) for v in self.outputs], dim=1)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (batch, m) for inputs (batch, n); differentiable; frees what is no longer needed."""
        values = self.split_inputs(x)
        pending = Counter(v for node in self.nodes for v in node.inputs)
        pending.update(self.outputs)
        for node in self.nodes:
            args = [values[v] for v in node.inputs]
            for v in node.inputs:
                pending[v] -= 1
                if pending[v] == 0:
                    values.pop(v, None)
            if not args:  # a constant: one copy per point
                values[node.output] = node.op().expand(x.shape[0], *node.output.shape)
            else:
                values[node.output] = node.op(*args)
        return self.join_outputs(values)

    def evaluate(self, x: Tensor) -> dict[Value, Tensor]:
        """Every value of the graph at the points x (batch, n)."""
        values = self.split_inputs(x)
        for node in self.nodes:
            z = node.op(*(values[v] for v in node.inputs))
            values[node.output] = z if node.inputs else z.expand(x.shape[0], *node.output.shape)
        return values

    def parameters(self) -> dict[str, Tensor]:
        """The floating-point tensors of all operators, no copies, named after node and field: `fc1.weight`.

        One that several operators share appears once; of several with the same name, later ones are numbered.
        """
        found: dict[str, Tensor] = {}
        seen: set[int] = set()
        for node in self.nodes:
            for field, tensor in node.op.parameters().items():
                if id(tensor) in seen:
                    continue
                seen.add(id(tensor))
                name, count = f"{node.name}.{field}", 1
                while name in found:
                    count += 1
                    name = f"{node.name}#{count}.{field}"
                found[name] = tensor
        return found

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Graph:
        """The same graph (same `Value` objects) with its parameters on `device` as `dtype`."""
        nodes = tuple(Node(n.op.to(device, dtype), n.inputs, n.output, n.name) for n in self.nodes)
        return Graph(self.inputs, self.outputs, nodes)

    def with_nodes(self, nodes: Iterable[Node], outputs: Iterable[Value] | None = None) -> Graph:
        """A graph over the same inputs with other nodes, and other outputs if given."""
        return Graph(self.inputs, self.outputs if outputs is None else tuple(outputs), tuple(nodes))
