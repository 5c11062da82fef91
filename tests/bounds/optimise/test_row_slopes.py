# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds import backward
from vnnverify.bounds.backward import patches
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.optimise.row_slopes import RowSlopes, best_cases, best_slopes
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.arrangement import Select
from vnnverify.ops.conv import Conv
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.steps import Step
from vnnverify.ops.sums import Sum

NEVER = Deadline.never()
SIZE = 15


def grown(ops: list[Op], shape: tuple[int, ...]) -> Graph:
    """The operators one after the other."""
    values, nodes = [Value("x", shape)], []
    for op in ops:
        value = Value(f"v{len(nodes)}", op.output_shape(values[-1].shape))
        nodes.append(Node(op, (values[-1],), value, value.name))
        values.append(value)
    return Graph((values[0],), (values[-1],), tuple(nodes))


def conv(seed: int, channels: tuple[int, int], size: int = 3) -> Conv:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(channels[1], channels[0], size, size, generator=generator, dtype=torch.float64)
    bias = torch.randn(channels[1], generator=generator, dtype=torch.float64) / 4
    pad = (size // 2,) * 2
    return Conv(weight / size, bias, (1, 1), pad, pad, (1, 1), 1)


def segmentation() -> Graph:
    """How many pixels of an image have a positive last channel: few inputs reach each pixel."""
    graph = grown(
        [conv(1, (2, 4)), Relu(), conv(2, (4, 4)), Relu(), conv(3, (4, 1), 1), Step(False)],
        (1, 2, SIZE, SIZE),
    )
    pixels = graph.outputs[0]
    count = Value("count", (1,))
    total = Linear(torch.ones(1, pixels.size, dtype=torch.float64), None)
    flat = Value("flat", (pixels.size,))
    nodes = (
        *graph.nodes,
        Node(Select.of(torch.arange(pixels.size), (pixels.size,)), (pixels,), flat, "flat"),
        Node(total, (flat,), count, "count"),
    )
    return Graph(graph.inputs, (count,), nodes)


def box(radius: float) -> tuple[Tensor, Tensor]:
    centre = torch.rand(1, 2 * SIZE * SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return centre - radius, centre + radius


def test_one_relu_reaches_the_best_slope() -> None:
    """With the slope α below, relu(x) − x / 4 over [−1, 3] is bounded by (α − 1/4)·x at one of the ends."""
    x, z, y = Value("x", (1,)), Value("z", (1,)), Value("y", (1,))
    minus = Linear(torch.tensor([[-0.25]]).double(), None)
    part = Value("part", (1,))
    nodes = (
        Node(Relu(), (x,), z, "relu"),
        Node(minus, (x,), part, "part"),
        Node(Sum((1, 1)), (z, part), y, "y"),
    )
    tool = Propagator(Graph((x,), (y,), nodes), None, torch.float64)
    state = tool.propagate(torch.tensor([[-1.0]]).double(), torch.tensor([[3.0]]).double(), NEVER)
    start, rows = {y: torch.ones(1, 1).double()}, backward.Rows(1, per_box=1)

    def bound(slopes: RowSlopes) -> backward.Linear:
        return backward.lower_bounds(
            tool.graph, state.with_row_slopes(slopes), start, rows, torch.zeros(1).double()
        )

    assert float(bound(RowSlopes()).lower) == pytest.approx(-0.75)  # slope 1: (1 − 1/4)·(−1)
    slopes, _ = best_slopes(bound, 60, NEVER)
    assert float(bound(slopes).lower) == pytest.approx(0.0, abs=0.02)  # slope 1/4


def test_slopes_of_another_shape_are_not_taken() -> None:
    below, above, offset = torch.zeros(2, 3), torch.full((2, 3), 0.5), torch.ones(2, 3)
    value, rows = Value("z", (3,)), torch.ones(2, 3)
    for other in (RowSlopes({value: torch.ones(2, 4)}), RowSlopes()):
        assert other.of(value, rows, below, above, offset)[0] is below
    stable = torch.tensor([[0.0, 1.0, 0.5]]).expand(2, 3)
    taken = RowSlopes({value: torch.full((2, 3), 0.7)}).of(value, rows, below, stable, offset)[0]
    assert torch.equal(taken, torch.tensor([[0.0, 0.0, 0.7]]).expand(2, 3))


def test_cases_are_exact_where_lines_are_not() -> None:
    """relu(x) − relu(x) of two neurons over [−1, 1] is 0. Lines alone give max over α of
    min(α − 1, −α) = −1/2; with the second neuron split, either case gives 0."""
    x, first, second, y = (Value(name, (1,)) for name in ("x", "first", "second", "y"))
    nodes = (
        Node(Relu(), (x,), first, "first"),
        Node(Relu(), (x,), second, "second"),
        Node(Sum((1, -1)), (first, second), y, "y"),
    )
    tool = Propagator(Graph((x,), (y,), nodes), None, torch.float64)
    one = torch.ones(1, 1).double()
    state = tool.propagate(-one, one, NEVER).for_any_slopes()

    def bound(count: int) -> Callable[[RowSlopes], backward.Linear]:
        start, rows = {y: one.expand(count, 1)}, backward.Rows(count, per_box=count)
        const = torch.zeros(count).double()
        return lambda s: backward.lower_bounds(tool.graph, state.with_row_slopes(s), start, rows, const)

    choice, _ = best_slopes(bound(1), 40, NEVER)
    assert float(bound(1)(choice).lower) == pytest.approx(-0.5, abs=1e-3)
    cases = best_cases(bound(1), bound(2), choice, 1, 40, NEVER)
    assert cases is not None
    assert bound(2)(cases).lower.tolist() == pytest.approx([0.0, 0.0], abs=0.02)
    assert best_cases(bound(1), bound(8), choice, 3, 1, NEVER) is None  # there are only two neurons


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_windows_with_chosen_slopes_bound_as_whole_rows_do(dtype: torch.dtype) -> None:
    graph = grown([conv(1, (2, 4)), Relu(), conv(2, (4, 3))], (1, 2, SIZE, SIZE)).to("cpu", dtype)
    tool = Propagator(graph, None, dtype)
    lower, upper = (end.to(dtype) for end in box(0.3))
    state = tool.propagate(lower, upper, NEVER).for_any_slopes()
    (value,) = graph.outputs
    element = torch.arange(0, value.size, 7)
    count, zero = element.numel(), torch.zeros(element.numel(), dtype=dtype)
    where, sign = torch.zeros(count, dtype=torch.long), torch.ones(count, dtype=dtype)
    patch = patches.units(value.shape, where, element, sign)
    rows = backward.Rows(count, per_box=count)

    def bound(slopes: RowSlopes) -> backward.Linear:
        return backward.lower_bounds(
            tool.graph, state.with_row_slopes(slopes), {value: patch}, rows, zero, ends_only=True
        )

    plain = bound(RowSlopes()).lower
    slopes, last = best_slopes(bound, 10, NEVER)
    found = bound(slopes).lower
    assert last.widest == 9 * 4
    assert bool((found >= plain).all()) and float((found - plain).max()) > 1e-2
    cases = backward.Rows(4 * count, per_box=4 * count)
    many = patches.units(value.shape, *(t.repeat_interleave(4) for t in (where, element, sign)))

    def bound_cases(slopes: RowSlopes) -> backward.Linear:
        return backward.lower_bounds(
            tool.graph, state.with_row_slopes(slopes), {value: many}, cases, zero.repeat(4), ends_only=True
        )

    chosen = best_cases(bound, bound_cases, slopes, 2, 10, NEVER)
    assert chosen is not None
    split = bound_cases(chosen).lower.reshape(count, 4).amin(dim=1)
    assert float((split - found).max()) > 1e-2
    found = torch.fmax(found, split)
    t = torch.rand(400, lower.shape[1], generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    t[::2] = t[::2].round()
    values = tool.graph.to("cpu", torch.float64)(lower.double() + t * (upper - lower).double())
    assert bool((values[:, element] >= found.double()).all())


def open_pixels(state: State, value: Value) -> int:
    low, high = state.interval[value]
    return int(((low < 0) & (high > 0)).sum())


def test_improvement_settles_pixels_and_holds_at_samples() -> None:
    graph = segmentation()
    outputs = torch.ones(1, dtype=torch.bool)
    tool = Propagator(graph, None, torch.float64, outputs=outputs, light=True)
    lower, upper = box(0.12)
    state = tool.propagate(lower, upper, NEVER)
    (step,) = (node for node in tool.graph.nodes if isinstance(node.op, Step))
    before, at_first = open_pixels(state, step.inputs[0]), state.interval[tool.graph.outputs[0]]
    improvement = Refinement(tool, state)
    improvement.run(0, Deadline.after(1e-3))  # nothing is done so soon
    assert open_pixels(state, step.inputs[0]) == before
    assert improvement.run(10, Deadline.after(1e4), 2)
    assert 0 < open_pixels(state, step.inputs[0]) < before
    assert bool(state.interval[tool.graph.outputs[0]][0] > at_first[0])
    t = torch.rand(300, lower.shape[1], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    t[::2] = t[::2].round()
    values = tool.graph.evaluate(lower + t * (upper - lower))
    for value, (low, high) in state.interval.items():
        assert bool(((values[value] >= low) & (values[value] <= high)).all()), value.name


def test_later_bounds_profit_from_slopes_of_earlier_ones() -> None:
    first: list[Op] = [conv(1, (2, 4)), Relu(), conv(2, (4, 4)), Relu()]
    graph = grown([*first, conv(3, (4, 4)), Relu(), conv(4, (4, 2))], (1, 2, SIZE, SIZE))
    tool = Propagator(graph, None, torch.float64, light=True)
    lower, upper = box(0.05)
    plain = tool.propagate(lower, upper, NEVER)
    seen: list[Value] = []

    def better(value: Value, state: State) -> bool:
        seen.append(value)
        return Refinement(tool, state).with_slopes(value, 3, NEVER)

    whole = tool.propagate(lower, upper, NEVER, better=better)
    half = upper.clone()
    half[:, : half.shape[1] // 2] = lower[:, : half.shape[1] // 2]
    within = tool.propagate(lower, half, NEVER, tool.remembered(whole), better)
    refined = [node.output for node in tool.graph.nodes if node.output in tool.plan.refine]
    assert seen == 2 * refined and len(refined) == 2  # intervals of the first layer are exact
    for state, end in ((within, half), (whole, upper)):
        t = torch.rand(300, lower.shape[1], generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        t[::2] = t[::2].round()
        values = tool.graph.evaluate(lower + t * (end - lower))
        for value, (low, high) in state.interval.items():
            assert bool(((values[value] >= low) & (values[value] <= high)).all()), value.name
    (output,) = tool.graph.outputs
    gains = [(state.interval[v][0] - plain.interval[v][0]).amax() for v in (*refined, output)]
    assert gains[0] > 1e-3 and gains[2] > 1e-3
