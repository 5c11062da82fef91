# SPDX-License-Identifier: Apache-2.0
"""RNN, GRU and LSTM, unrolled: one copy of the cell for each step of the sequence.

Shapes below: T steps, N sequences, I inputs and H hidden elements of a cell, D directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.registry import reads
from vnnverify.ir import Op, Value
from vnnverify.ops.arrangement import Concat, Constant, Select, Transpose
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Clip, Relu
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.smooth import Softplus
from vnnverify.ops.sums import Sum
from vnnverify.ops.trigonometry import Softsign

__all__: list[str] = []

MOST_STEPS = 1 << 12
"""Longest sequence: each step makes some twenty nodes."""

_FUNCTIONS: dict[str, Callable[[], Op]] = {
    "relu": Relu,
    "sigmoid": Sigmoid,
    "softplus": Softplus,
    "softsign": Softsign,
    "tanh": Tanh,
}
_DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True, slots=True)
class _Cell:
    """One direction of the layer: weights, and how its parts are put into the graph."""

    node: NodeView
    W: np.ndarray  # (gates·H, I)
    R: np.ndarray  # (gates·H, H)
    input_bias: np.ndarray  # (gates·H,)
    hidden_bias: np.ndarray  # (gates·H,)
    peepholes: np.ndarray  # (3, H): of the input, output and forget gates of LSTM
    functions: tuple[Callable[[], Op], ...]
    after_reset: bool  # GRU: the hidden state is multiplied by R before it is reset

    @property
    def hidden(self) -> int:
        return int(self.R.shape[1])

    def gate(self, x: Value, index: int) -> Value:
        """Block `index` of H elements along the last axis."""
        places = torch.arange(x.size).reshape(x.shape)[..., index * self.hidden : (index + 1) * self.hidden]
        return self.node.add(Select.of(places, tuple(places.shape)), x)

    def linear(self, x: Value, weight: np.ndarray, bias: np.ndarray | None = None) -> Value:
        return self.node.add(Linear(as_tensor(weight), None if bias is None else as_tensor(bias)), x)

    def plus(self, *values: Value) -> Value:
        return self.node.add(Sum((1,) * len(values)), *values)

    def times(self, x: Value, y: Value) -> Value:
        return self.node.add(Mul(), x, y)

    def through(self, which: int, x: Value) -> Value:
        """The cell's function number `which` of x, which `clip` cuts first."""
        limit = self.node.attribute("clip")
        if limit is not None:
            x = self.node.add(Clip(-float(limit), float(limit)), x)
        return self.node.add(self.functions[which](), x)

    def step(self, x: Value, h: Value, c: Value | None) -> tuple[Value, Value | None]:
        """The next state from the weighted input x (N, gates·H) and the state h, c (N, H)."""
        if self.node.op_type == "RNN":
            return self.through(0, self.plus(x, self.linear(h, self.R, self.hidden_bias))), None
        if self.node.op_type == "GRU":
            return self._gated(x, h), None
        assert c is not None
        return self._remembered(x, h, c)

    def _gated(self, x: Value, h: Value) -> Value:
        """GRU: (1 − z)·n + z·h. Planes below and above the two products add up to the hull of n and h;
        those of n + z·(h − n) do not."""
        n = self.hidden
        both = self.linear(h, self.R[: 2 * n], self.hidden_bias[: 2 * n])
        z = self.through(0, self.plus(self.gate(x, 0), self.gate(both, 0)))
        r = self.through(0, self.plus(self.gate(x, 1), self.gate(both, 1)))
        weight, bias = self.R[2 * n :], self.hidden_bias[2 * n :]
        if self.after_reset:
            back = self.times(r, self.linear(h, weight, bias))
        else:
            back = self.linear(self.times(r, h), weight, bias)
        new = self.through(1, self.plus(self.gate(x, 2), back))
        rest = scaled(self.node, z, np.array(-1.0), np.array(1.0))
        return self.plus(self.times(rest, new), self.times(z, h))

    def _remembered(self, x: Value, h: Value, c: Value) -> tuple[Value, Value]:
        """LSTM; its gates come in the order input, output, forget, cell."""
        z = self.plus(x, self.linear(h, self.R, self.hidden_bias))
        i = self.through(0, self._peeped(self.gate(z, 0), c, 0))
        f = self.through(0, self._peeped(self.gate(z, 2), c, 2))
        memory = self.plus(self.times(f, c), self.times(i, self.through(1, self.gate(z, 3))))
        o = self.through(0, self._peeped(self.gate(z, 1), memory, 1))
        return self.times(o, self.node.add(self.functions[2](), memory)), memory

    def _peeped(self, z: Value, c: Value, index: int) -> Value:
        weight = self.peepholes[index]
        return z if not weight.any() else self.plus(z, scaled(self.node, c, weight, None))


@reads("RNN", "GRU", "LSTM")
def _recurrent(node: NodeView) -> list[Operand]:
    """All states, the last one of each direction, and of LSTM the last memory."""
    if node.attribute("input_forget", 0):
        raise node.unsupported("an input gate coupled to the forget gate")
    turned = bool(node.attribute("layout", 0))  # the batch axis first
    x = node.variable()
    if turned:
        x = node.add(Transpose((1, 0, 2)), x)
    if x.shape[0] > MOST_STEPS:
        raise node.unsupported(f"a sequence of {x.shape[0]:,} steps, more than {MOST_STEPS:,},")
    ways = {"forward": (1,), "reverse": (-1,), "bidirectional": (1, -1)}[
        node.attribute("direction", "forward")
    ]
    W = node.constant(1, "the weight of the input")
    if W is None or W.shape[0] != len(ways):
        raise node.error(f"needs weights for {len(ways)} directions")
    runs = [_run(node, x, index, way, turned) for index, way in enumerate(ways)]
    states = [_stacked(node, [run[0][t] for run in runs]) for t in range(x.shape[0])]
    found = [_stacked(node, states), _stacked(node, [run[1] for run in runs])]
    if node.op_type == "LSTM":
        found.append(_stacked(node, [run[2] for run in runs]))
    if not turned:
        return [*found]
    return [node.add(Transpose((2, 0, 1, 3) if y is found[0] else (1, 0, 2)), y) for y in found]


def _stacked(node: NodeView, values: list[Value]) -> Value:
    """Values of one shape along a new axis in front."""
    parts = [node.reshaped(v, (1, *v.shape)) for v in values]
    return parts[0] if len(parts) == 1 else node.add(Concat(0), *parts)


def _run(node: NodeView, x: Value, index: int, way: int, turned: bool) -> tuple[list[Value], Value, Value]:
    """The states (N, H) after each step, the last state and the last memory of one direction.

    A sequence shorter than T keeps its state in the steps it lacks, and shows zeros there.
    """
    cell = _cell(node, index)
    steps, count = x.shape[:2]
    h = _start(node, 5, index, count, cell.hidden, turned)
    memory = _start(node, 6, index, count, cell.hidden, turned) if node.op_type == "LSTM" else None
    given = node.constant(4, "the lengths of the sequences")
    lengths = np.full(count, steps) if given is None else given.reshape(-1)
    weighted = cell.linear(x, cell.W, cell.input_bias)
    shown: dict[int, Value] = {}
    places = torch.arange(weighted.size).reshape(weighted.shape)
    for t in range(steps)[::way]:
        part = node.add(Select.of(places[t], tuple(places[t].shape)), weighted)
        after, remembered = cell.step(part, h, memory)
        there = np.broadcast_to((lengths > t).astype(np.float64)[:, None], h.shape)
        shown[t] = after if there.all() else scaled(node, after, there, None)
        h = _kept(node, after, h, there)
        if memory is not None and remembered is not None:
            memory = _kept(node, remembered, memory, there)
    return [shown[t] for t in range(steps)], h, h if memory is None else memory


def _kept(node: NodeView, after: Value, before: Value, there: np.ndarray) -> Value:
    """`after` where the sequence is still there, else `before`."""
    if there.all():
        return after
    return node.add(Sum((1, 1)), scaled(node, after, there, None), scaled(node, before, 1 - there, None))


def _start(node: NodeView, place: int, index: int, count: int, hidden: int, turned: bool) -> Value:
    """The state (N, H) before the first step: zeros, or input `place`."""
    if node.operand(place) is None:
        return node.add(Constant(torch.zeros(count, hidden, dtype=torch.float64)))
    given = node.variable(place)
    places = torch.arange(given.size).reshape(given.shape)
    picked = places[:, index] if turned else places[index]
    if picked.shape != (count, hidden):
        raise node.error(f"starts from {tuple(picked.shape)} elements, needs {(count, hidden)}")
    return node.add(Select.of(picked, tuple(picked.shape)), given)


def _cell(node: NodeView, index: int) -> _Cell:
    """The weights of one direction.

    Raises:
        ModelError: weights do not fit each other.
        UnsupportedModelError: they are computed, or a function is not one of the plain ones.
    """
    W, R = node.constant(1, "the weight of the input"), node.constant(2, "the weight of the state")
    if W is None or R is None:
        raise node.error("a weight is missing")
    gates, hidden = _GATES[node.op_type], int(R.shape[-1])
    if W.ndim != 3 or R.ndim != 3 or W.shape[1] != gates * hidden or R.shape[1] != gates * hidden:
        raise node.error(f"weights of shapes {W.shape} and {R.shape} do not fit {gates} gates")
    B, P = node.constant(3, "the bias"), node.constant(7, "the peephole weight")
    bias = np.zeros(2 * gates * hidden) if B is None else B[index].astype(np.float64)
    peepholes = np.zeros((3, hidden)) if P is None else P[index].reshape(3, hidden).astype(np.float64)
    names = node.attribute("activations") or _DEFAULTS[node.op_type] * (index + 1)
    own = len(_DEFAULTS[node.op_type])
    chosen = names[own * index : own * (index + 1)]
    if len(chosen) != own:
        raise node.error(f"names {len(names)} activations, needs {own} for each direction")
    unknown = [n for n in chosen if n.lower() not in _FUNCTIONS]
    if unknown:
        raise node.unsupported(f"the activation {unknown[0]!r} inside a cell")
    return _Cell(
        node,
        W[index],
        R[index],
        bias[: gates * hidden],
        bias[gates * hidden :],
        peepholes,
        tuple(_FUNCTIONS[n.lower()] for n in chosen),
        bool(node.attribute("linear_before_reset", 0)),
    )
