# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from vnnverify import Deadline
from vnnverify.bounds.intermediate.pruning import without_dead
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum


def network(*, bias: float = -0.1, scale: float = 1.0, skip: bool = False) -> Graph:
    """Four matrices with three ReLU layers between them, the second of which may be added to the first."""
    generator = torch.Generator().manual_seed(8)

    def matrix(rows: int, columns: int) -> Linear:
        weight = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * scale / columns**0.5
        return Linear(weight, torch.full((rows,), bias, dtype=torch.float64))

    x = Value("x", (1, 5))
    value, nodes, relus = x, [], []
    for k, (rows, columns) in enumerate(((12, 5), (12, 12), (12, 12))):
        z, y = Value(f"z{k}", (1, rows)), Value(f"y{k}", (1, rows))
        nodes += [Node(matrix(rows, columns), (value,), z, z.name), Node(Relu(), (z,), y, y.name)]
        value = y
        relus.append(y)
        if skip and k == 1:
            value = Value("sum", (1, 12))
            nodes.append(Node(Sum((1, 1)), (relus[0], relus[1]), value, "sum"))
    out = Value("out", (1, 3))
    return Graph((x,), (out,), (*nodes, Node(matrix(3, 12), (value,), out, "out")))


def known(graph: Graph) -> State:
    tool = Propagator(graph, None, torch.float64)
    centre = torch.tensor([[0.3, -0.2, 0.1, 0.5, -0.6], [0.2, -0.1, 0.1, 0.4, -0.6]]).double()
    return tool.propagate(centre - 0.1, centre + 0.1, Deadline.never())


def points(state: State) -> torch.Tensor:
    t = torch.rand(200, 2, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (state.lower + t * (state.upper - state.lower)).reshape(-1, 5)


def test_dead_neurons_go_and_the_values_over_the_boxes_stay() -> None:
    graph = network()
    state = known(graph)
    smaller, found = without_dead(graph, state)
    sizes = [(v.output.size, w.output.size) for v, w in zip(graph.nodes, smaller.nodes, strict=True)]
    assert all(w < v for v, w in sizes[:-1]) and sizes[-1] == (3, 3)
    for node, new in zip(graph.nodes[1::2], smaller.nodes[1::2], strict=True):
        dead = (state.interval[node.inputs[0]][1] <= 0).flatten(1).all(dim=0)
        assert new.output.size == node.output.size - int(dead.sum())
    x = points(state)
    torch.testing.assert_close(smaller(x), graph(x), rtol=1e-12, atol=1e-12)
    for value, y in smaller.evaluate(x).items():
        low, high = (end.repeat(200, *(1,) * len(value.shape)) for end in found.interval[value])
        assert bool(((low <= y + 1e-12) & (y <= high + 1e-12)).all())


@pytest.mark.parametrize("bias", [-0.1, -9.0], ids=["some dead", "all dead"])
def test_certified_bounds_are_those_of_the_whole_network(bias: float) -> None:
    graph = network(bias=bias)
    state = known(graph)
    box = torch.tensor([0, 1])
    rows = torch.tensor([[[1.0, -1.0, 0.5]]]).double().repeat(2, 1, 1)
    bounds = []
    for dual in (Dual(graph, state), Dual(*without_dead(graph, state))):
        problems = dual.problems(box, rows, torch.zeros(2, 1).double())
        dual.ascend(problems, 10, Deadline.never())
        bounds.append(dual.certify(problems).lower)
    torch.testing.assert_close(bounds[1], bounds[0], rtol=1e-9, atol=1e-9)
    y = (graph(points(state)) @ rows[0, 0]).reshape(200, 2)
    assert bool((bounds[1] <= y.amin(dim=0)).all())


def test_what_is_used_otherwise_stays() -> None:
    graph = network(skip=True)
    smaller, _ = without_dead(graph, known(graph))
    sizes = {node.output.name: node.output.size for node in smaller.nodes}
    assert (sizes["y0"], sizes["y1"], sizes["sum"]) == (12, 12, 12)
    assert sizes["y2"] < 12 and sizes["y2"] == sizes["z2"]


def test_nothing_is_made_anew_where_nothing_is_dead() -> None:
    graph = network(bias=1.0, scale=0.1)
    state = known(graph)
    same, known_still = without_dead(graph, state)
    assert same is graph and known_still is state


def test_open_neurons_come_first_so_that_a_search_takes_them_as_a_slice() -> None:
    graph = network(bias=-0.1)
    state = known(graph)
    scattered, in_order = Dual(graph, state), Dual(*without_dead(graph, state))
    assert scattered.size == in_order.size > 0
    assert any(isinstance(unit.at, torch.Tensor) for unit in scattered.units.values())
    for unit in in_order.units.values():
        assert unit.at == slice(0, unit.columns.numel())
