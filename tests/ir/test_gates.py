# SPDX-License-Identifier: Apache-2.0
"""Products with a soft gate become one function with closer bounds; whatever else stays."""

from __future__ import annotations

import pytest
import torch

from vnnverify.domains import interval
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ir.simplify import join_gates, simplify
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.smooth import Softplus


def gated(*ops: Op, flip: bool = False, other: bool = False) -> Graph:
    """x, or another input, times the ops applied to x one after the other."""
    x, z = Value("x", (3,)), Value("z", (3,))
    nodes, value = [], x
    for index, op in enumerate(ops):
        after = Value(f"v{index}", (3,))
        nodes.append(Node(op, (value,), after, after.name))
        value = after
    factors = (value, z if other else x)
    y = Value("y", (3,))
    nodes.append(Node(Mul(), factors[::-1] if flip else factors, y, "y"))
    return Graph((x, z) if other else (x,), (y,), tuple(nodes))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("ops", "kind"), [((Sigmoid(),), "Silu"), ((Softplus(), Tanh()), "Mish")], ids=["Silu", "Mish"]
)
def test_the_same_function_with_closer_bounds(ops: tuple[Op, ...], kind: str, flip: bool) -> None:
    graph = gated(*ops, flip=flip)
    found = simplify(graph)
    assert [node.op.kind for node in found.nodes] == [kind]
    x = torch.linspace(-30, 30, 300, dtype=torch.float64).reshape(-1, 3)
    torch.testing.assert_close(found(x), graph(x), rtol=1e-12, atol=1e-14)
    lower, upper = x - 1, x + 1
    (a, b), (c, d) = (interval.bounds_of_values(g, lower, upper)[g.outputs[0]] for g in (graph, found))
    assert bool((d - c <= b - a + 1e-12).all())  # where the gate is open or closed, both only round
    near = x.abs() < 3
    assert float((d - c)[near].sum()) < 0.9 * float((b - a)[near].sum())


@pytest.mark.parametrize(
    "graph",
    [gated(Sigmoid(), other=True), gated(Tanh()), gated(Sigmoid(), Tanh())],
    ids=["another input", "tanh", "two functions"],
)
def test_other_products_stay(graph: Graph) -> None:
    assert join_gates(graph) is graph
