# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds import backward
from vnnverify.bounds.deviations import Deviations
from vnnverify.bounds.propagation import Propagator
from vnnverify.ir import Graph, Node, Op, Value, flat
from vnnverify.ops.conv import Conv
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import Max
from vnnverify.ops.piecewise import Relu
from vnnverify.testing import check_domain

NEVER = Deadline.never()


def row_bounds(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds (m,) of each output from float32 rows over deviations alone."""
    tool = Propagator(graph, None, torch.float64, light=True)
    state = tool.propagate(lower[None], upper[None], NEVER)
    twin = tool.graph.to("cpu", torch.float32)
    deviations = Deviations(tool.graph, twin, state, torch.float32)
    for node in tool.graph.nodes:
        deviations.follow(node)
    low, high = [], []
    for value in graph.outputs:
        eye = torch.eye(value.size)
        rows = torch.cat([eye, -eye]).reshape(-1, *value.shape)
        each = backward.Rows(2 * value.size, per_box=2 * value.size)
        zero = torch.zeros(2 * value.size)
        found = backward.lower_bounds(twin, deviations.state, {value: rows}, each, zero).lower.double()
        centre = flat(deviations.state.centre[value])[0]
        below, above = found.chunk(2)
        low.append(centre + below)
        high.append(centre - above)
    return torch.cat(low), torch.cat(high)


def test_rows_over_deviations_enclose_every_operator() -> None:
    records = check_domain(row_bounds, name="deviations", narrowing=False)
    assert records and not [r for r in records if r.status == "failed"]


def chain(*ops: Op, size: int) -> Graph:
    values = [Value("x", (size,))]
    nodes = []
    for k, op in enumerate(ops):
        shape = op.output_shape(values[-1].shape)
        values.append(Value(f"v{k}", shape))
        nodes.append(Node(op, (values[-2],), values[-1], f"v{k}"))
    return Graph((values[0],), (values[-1],), tuple(nodes))


def test_every_rounding_of_a_row_is_counted() -> None:
    """Where the bound is exact over the reals (all ReLUs active), rounded ones must lie outside of it."""
    generator = torch.Generator().manual_seed(4)
    ops: list[Op] = []
    for rows, columns in ((300, 2), (300, 300), (300, 300), (40, 300)):
        weight = torch.randn(rows, columns, generator=generator, dtype=torch.float64) / 200
        ops += [Linear(weight, torch.full((rows,), 30.0, dtype=torch.float64)), Relu()]
    graph = chain(*ops, size=2)
    centre = torch.randn(2, generator=generator, dtype=torch.float64)
    radius = torch.full((2,), 0.01, dtype=torch.float64)
    low, high = row_bounds(graph, centre - radius, centre + radius)
    slope = torch.eye(2, dtype=torch.float64)
    for op in ops:
        slope = op.weight @ slope if isinstance(op, Linear) else slope
    middle, half = graph(centre[None])[0], slope.abs() @ radius
    assert all(bool((v > 0).all()) for k, v in enumerate(graph.evaluate(centre[None]).values()) if k)
    assert bool((low <= middle - half).all() and (high >= middle + half).all())
    assert float((high - low - 2 * half).max()) < 0.25 * float(half.mean())


def test_a_large_constant_does_not_widen_the_bounds_of_a_small_box() -> None:
    """y = relu(x₁ − x₂ + 2²⁰) − relu(x₁ + x₂ + 2²⁰) = −2 x₂ near x = 0, where float32 numbers near 2²⁰ are
    2⁻³ apart."""
    first = Linear(torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double(), torch.full((2,), 2.0**20).double())
    last = Linear(torch.tensor([[1.0, -1.0]]).double())
    graph = chain(first, Relu(), last, size=2)
    radius = torch.full((2,), 1e-3).double()
    low, high = row_bounds(graph, -radius, radius)
    assert low.item() <= -2e-3 <= low.item() + 5e-8
    assert high.item() - 5e-8 <= 2e-3 <= high.item()


def test_a_maximum_of_deviations_is_a_maximum_of_values() -> None:
    """max(x₁ + 100, x₂) over [−1, 1]² is x₁ + 100; max(x₁, x₂) is at most 1 and at least x₁."""
    shift = Linear(torch.eye(2).double(), torch.tensor([100.0, 0.0]).double())
    x, z, y = Value("x", (2,)), Value("z", (2,)), Value("y", (2,))
    pair = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).double()
    other = Value("other", (2,))
    graph = Graph(
        (x,),
        (y,),
        (
            Node(shift, (x,), z, "z"),
            Node(Linear(pair), (x,), other, "other"),
            Node(Max(), (z, other), y, "y"),
        ),
    )
    ends = torch.full((2,), 1.0).double()
    low, high = row_bounds(graph, -ends, ends)
    torch.testing.assert_close(low, torch.tensor([99.0, -1.0]).double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(high, torch.tensor([101.0, 1.0]).double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("images", [False, True], ids=["vectors", "images"])
def test_light_bounds_are_hardly_wider_than_those_in_float64(images: bool) -> None:
    generator = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if images:
        ops = [Conv(normal(4, 2, 3, 3) / 3, normal(4), (1, 1), (1, 1), (1, 1), (1, 1)), Relu()]
        for _ in range(3):
            ops += [Conv(normal(4, 4, 3, 3) / 4, normal(4), (1, 1), (1, 1), (1, 1), (1, 1)), Relu()]
        x = Value("x", (1, 2, 8, 8))
    else:
        ops = [Linear(normal(20, 6) / 2, normal(20)), Relu()]
        for _ in range(3):
            ops += [Linear(normal(20, 20) / 4, normal(20)), Relu()]
        x = Value("x", (6,))
    values, nodes = [x], []
    for k, op in enumerate(ops):
        values.append(Value(f"v{k}", op.output_shape(values[-1].shape)))
        nodes.append(Node(op, (values[-2],), values[-1], f"v{k}"))
    graph = Graph((x,), (values[-1],), tuple(nodes))
    centre = normal(2, x.size)
    box = centre - 0.05, centre + 0.05
    exact, light = (
        Propagator(graph, None, torch.float64, light=how).propagate(*box, NEVER) for how in (False, True)
    )
    last = values[-2]
    (low, high), (wide_low, wide_high) = exact.interval[last], light.interval[last]
    assert bool((wide_low <= low + 1e-12).all() and (wide_high >= high - 1e-12).all())
    assert float((wide_high - wide_low).sum()) <= 1.001 * float((high - low).sum())
    t = torch.rand(300, 2, x.size, generator=generator, dtype=torch.float64)
    for k in range(2):
        points = box[0][k] + t[:, k].round(decimals=0) * (box[1] - box[0])[k]
        found = graph.evaluate(points)
        for value, (lower, upper) in light.interval.items():
            own = next(v for v in found if v.name == value.name)
            assert bool((lower[k] <= found[own] + 1e-12).all() and (found[own] <= upper[k] + 1e-12).all())
