# SPDX-License-Identifier: Apache-2.0
"""Networks with one hidden layer as sums of hinges over the inputs.

    margin(x)  >=  Σ_j v_j relu(z_j) + a x + c,    z_j = W_j x + b_j ± e_j      on a box

Only ReLUs whose sign is open on some box are hinges; the others are part of a and c.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.backward.margins import output_rows
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Affine, Graph, Node, Value, flat
from vnnverify.numerics import lower_as, upper_as
from vnnverify.ops.piecewise import Relu

__all__ = ["Hinges", "has_one_hidden_layer"]


def has_one_hidden_layer(graph: Graph) -> bool:
    """Whether every node is affine or a ReLU, and every ReLU's argument affine in the inputs."""
    affine = set(graph.inputs)
    for node in graph.nodes:
        known = all(v in affine for v in node.inputs)
        if isinstance(node.op, Affine):
            affine.update([node.output] if known else [])
        elif not (isinstance(node.op, Relu) and known):
            return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Hinges:
    """G polytopes of P rows each over J hinges of n inputs. Everything holds on the polytope's own box."""

    W: Tensor  # (J, n)
    b: Tensor  # (J,)
    e: Tensor  # (J,) how far z_j can be from W_j x + b_j: rounding only
    v: Tensor  # (G, P, J)
    a: Tensor  # (G, P, n)
    c: Tensor  # (G, P) rounding error subtracted
    lower: Tensor  # (G, n) the box
    upper: Tensor  # (G, n)
    low: Tensor  # (G, J) bounds of z over the box
    high: Tensor  # (G, J)

    def __len__(self) -> int:
        return self.W.shape[0]

    def to(self, dtype: torch.dtype) -> Hinges:
        """The same in another float type: the boxes and bounds rounded outward, the rest to nearest."""
        parts = {name: getattr(self, name) for name in self.__slots__}
        down = {name: lower_as(parts.pop(name), dtype) for name in ("lower", "low")}
        up = {name: upper_as(parts.pop(name), dtype) for name in ("upper", "high")}
        return Hinges(**{name: t.to(dtype) for name, t in parts.items()}, **down, **up)

    @classmethod
    def of(cls, tool: Propagator, root: State, box: Tensor, C: Tensor, d: Tensor) -> Hinges:
        """The hinges below polytopes of a graph that `has_one_hidden_layer`.

        Args:
            tool: bounds the graph in float64.
            root: what it knows of some boxes.
            box: which of them (G,) each polytope is about.
            C, d: margins are C y − d: (G, P, m) and (G, P).
        """
        device = box.device
        columns: dict[Node, Tensor] = {}
        W, b, e, low, high = [root.lower.new_zeros(0, root.lower.shape[1])], [], [], [], []
        for node in tool.graph.nodes:
            if not isinstance(node.op, Relu):
                continue
            value = node.inputs[0]
            lower, upper = (flat(end) for end in root.interval[value])
            columns[node] = ((lower < 0) & (upper > 0)).any(dim=0).nonzero()[:, 0]
            low.append(lower[:, columns[node]][box])
            high.append(upper[:, columns[node]][box])
            for part in torch.split(columns[node], tool.rows_at_once(device)):
                linear = _rows(tool.graph, root, value, part)
                middle = linear.c + linear.error
                W.append(linear.A)
                b.append(middle)
                e.append(2 * linear.error + 4 * torch.finfo(middle.dtype).eps * middle.abs())
        G, P, m = C.shape
        without = _without(root, columns)
        rows = backward.Rows(G * P, box=box.repeat_interleave(P))
        trace: dict[Node, Tensor] = {}
        start = output_rows(tool.graph, C.reshape(G * P, m))
        linear = backward.lower_bounds(tool.graph, without, start, rows, -d.reshape(-1), trace)
        none = C.new_zeros(G * P, 0)
        v = torch.cat([none, *(_picked(trace, node, c, G * P) for node, c in columns.items())], 1)
        empty = root.lower.new_zeros(0)
        return cls(
            torch.cat(W),
            torch.cat([empty, *b]),
            torch.cat([empty, *e]),
            v.reshape(G, P, -1),
            linear.A.reshape(G, P, -1),
            linear.c.reshape(G, P),
            root.lower[box],
            root.upper[box],
            torch.cat([none[:G], *low], 1),
            torch.cat([none[:G], *high], 1),
        )


def _rows(graph: Graph, root: State, value: Value, part: Tensor) -> backward.Linear:
    """Elements `part` of a value, affine in the inputs, as rows over them. What is said of the errors
    holds on all boxes of `root`; the slopes are those of every box."""
    unit = root.lower.new_zeros(part.numel(), value.size)
    unit[torch.arange(part.numel(), device=part.device), part] = 1
    rows = backward.Rows(part.numel(), box=torch.zeros_like(part))
    start = {value: unit.reshape(-1, *value.shape)}
    return backward.lower_bounds(graph, root, start, rows, unit.new_zeros(part.numel()))


def _without(root: State, columns: dict[Node, Tensor]) -> State:
    """`root` with zero in place of the ReLUs of these columns."""
    state = State(root.lower, root.upper, dict(root.interval), dict(root.lines), error=dict(root.error))
    for node, index in columns.items():
        lines = root.lines[node]
        parts = []
        for name in lines.__slots__:
            part = flat(getattr(lines, name)).clone()
            part[:, index] = 0
            parts.append(part.reshape(-1, *node.output.shape))
        state.lines[node] = Lines(*parts)
    return state


def _picked(trace: dict[Node, Tensor], node: Node, columns: Tensor, rows: int) -> Tensor:
    if node not in trace:  # the polytopes do not depend on it
        return torch.zeros(rows, columns.numel(), dtype=torch.float64, device=columns.device)
    return flat(trace[node])[:, columns]
