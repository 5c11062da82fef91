# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds.influence import influence
from vnnverify.bounds.propagation import Propagator
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.conv import Conv
from vnnverify.ops.maximum import Max
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum

SIZE = 7


def network() -> tuple[Graph, Value, Value, Value]:
    """conv 3×3 → relu → conv 3×3, plus the first convolution itself; its value, the relu's, and the sum."""
    nodes: list[Node] = []

    def add(op: Op, *inputs: Value) -> Value:
        value = Value(f"v{len(nodes)}", op.output_shape(*(v.shape for v in inputs)))
        nodes.append(Node(op, inputs, value, value.name))
        return value

    def conv(seed: int) -> Conv:
        weight = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return Conv(weight, None, (1, 1), (1, 1), (1, 1), (1, 1), 1)

    x = Value("x", (1, 2, SIZE, SIZE))
    first = add(conv(1), x)
    second = add(conv(2), first)
    relu = add(Relu(), second)
    last = add(Sum((1, 1)), add(conv(3), relu), first)
    return Graph((x,), (last,), tuple(nodes)), second, relu, last


def around(radius: int, row: int, column: int) -> Tensor:
    mask = torch.zeros(1, 2, SIZE, SIZE, dtype=torch.bool)
    mask[..., max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1] = True
    return mask.flatten()


def one_output() -> Tensor:
    outputs = torch.zeros(2 * SIZE * SIZE, dtype=torch.bool)
    outputs[2 * SIZE + 5] = True  # row 2, column 5
    return outputs


def test_the_cone_grows_by_each_kernel() -> None:
    graph, second, relu, last = network()
    found = influence(graph, one_output())
    assert torch.equal(found[last], one_output())
    assert torch.equal(found[relu], around(1, 2, 5)) and torch.equal(found[second], found[relu])
    assert torch.equal(found[graph.nodes[0].output], around(2, 2, 5))
    assert torch.equal(found[graph.inputs[0]], around(3, 2, 5))


def test_changes_outside_the_cone_change_nothing() -> None:
    graph, *_ = network()
    cone = influence(graph, one_output())[graph.inputs[0]]
    x = torch.randn(1, cone.numel(), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    moved = x + torch.where(cone, 0.0, 1.0)
    assert torch.equal(graph(x)[:, one_output()], graph(moved)[:, one_output()])


def test_what_is_not_affine_depends_on_all_its_inputs() -> None:
    a, b, y = Value("a", (2, 3)), Value("b", (2, 3)), Value("y", (2, 3))
    graph = Graph((a, b), (y,), (Node(Max(), (a, b), y, "max"),))
    found = influence(graph, torch.tensor([True] + [False] * 5))
    assert found[a].all() and found[b].all()
    assert set(influence(graph, torch.zeros(6, dtype=torch.bool))) == {y}


@pytest.mark.parametrize("light", [False, True], ids=["float64", "light"])
def test_bounds_of_the_outputs_that_matter_are_as_good_and_others_hold(light: bool) -> None:
    graph, second, _, last = network()
    centre = torch.rand(1, 2 * SIZE * SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    box = centre - 0.2, centre + 0.2
    states = []
    for outputs in (None, one_output()):
        tool = Propagator(graph, None, torch.float64, outputs=outputs, light=light)
        states.append(tool.propagate(*box, Deadline.never()))
    whole, part = ([end.flatten() for end in state.interval[second]] for state in states)
    cone = around(1, 2, 5)
    assert all(torch.equal(w[cone], p[cone]) for w, p in zip(whole, part, strict=True))
    assert bool((part[0] <= whole[0]).all() & (part[1] >= whole[1]).all())
    assert bool((part[1] - part[0] > whole[1] - whole[0])[~cone].any())
    generator = torch.Generator().manual_seed(1)
    t = torch.rand(200, centre.shape[1], generator=generator, dtype=torch.float64)
    y = graph(box[0] + t * (box[1] - box[0]))
    low, high = (end.flatten(1) for end in states[1].interval[last])
    assert bool(((low <= y) & (y <= high)).all())


def test_what_is_constant_over_the_box_depends_on_nothing() -> None:
    graph, second, relu, last = network()
    size = last.size
    interval = {v: (torch.zeros(1, size), torch.ones(1, size)) for v in (second, last, graph.nodes[0].output)}
    alive = torch.zeros(1, size)
    alive[0, 2 * SIZE + 5] = 1.0
    interval[relu] = torch.zeros(1, size), alive
    interval[graph.nodes[3].output] = interval[last]
    found = influence(graph, one_output(), interval)
    assert torch.equal(found[relu], alive[0] > 0) and torch.equal(found[second], found[relu])
    assert torch.equal(found[graph.nodes[0].output], around(1, 2, 5))
