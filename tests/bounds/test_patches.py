# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vnnverify import Deadline
from vnnverify.bounds import backward
from vnnverify.bounds.backward import patches
from vnnverify.bounds.propagation import Propagator
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.arrangement import Concat, Pad
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.piecewise import LeakyRelu, Relu
from vnnverify.ops.sums import AveragePool, Sum

NEVER = Deadline.never()


def conv(
    seed: int, channels: tuple[int, int], size: int, stride: int, pad: tuple[int, int], **more: int
) -> Conv:
    generator = torch.Generator().manual_seed(seed)
    groups, dilation = more.get("groups", 1), more.get("dilation", 1)
    shape = (channels[1], channels[0] // groups, size, size)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64) / size
    bias = torch.randn(channels[1], generator=generator, dtype=torch.float64) / 4
    before, after = (pad[0],) * 2, (pad[1],) * 2
    return Conv(weight, bias, (stride,) * 2, before, after, (dilation,) * 2, groups)


def transposed(
    seed: int, channels: tuple[int, int], size: int, stride: int, crop: tuple[int, int], **more: int
) -> ConvTranspose:
    groups, dilation = more.get("groups", 1), more.get("dilation", 1)
    generator = torch.Generator().manual_seed(seed)
    shape = (channels[0], channels[1] // groups, size, size)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64) / size
    bias = torch.randn(channels[1], generator=generator, dtype=torch.float64) / 4
    before, after = (crop[0],) * 2, (crop[1],) * 2
    return ConvTranspose(weight, bias, (stride,) * 2, before, after, (dilation,) * 2, groups)


class Chain:
    """A graph over 14 × 14 that grows node by node."""

    def __init__(self) -> None:
        self.x = Value("x", (1, 2, 14, 14))
        self.nodes: list[Node] = []

    def add(self, op: Op, *inputs: Value) -> Value:
        value = Value(f"v{len(self.nodes)}", op.output_shape(*(v.shape for v in inputs)))
        self.nodes.append(Node(op, inputs, value, value.name))
        return value

    def graph(self, last: Value) -> Graph:
        return Graph((self.x,), (last,), tuple(self.nodes))


def residual() -> Graph:
    """A strided residual block, a grouped, a dilated and an unevenly padded convolution."""
    chain = Chain()
    add = chain.add
    first = add(Relu(), add(conv(1, (2, 4), 3, 1, (1, 1)), chain.x))
    branch = add(conv(2, (4, 6), 3, 2, (1, 1)), first)
    branch = add(conv(3, (6, 6), 3, 1, (1, 1), groups=3), add(Relu(), branch))
    short = add(conv(4, (4, 6), 1, 2, (0, 0)), first)
    joined = add(LeakyRelu(0.1), add(Sum((1, -1)), branch, short))
    return chain.graph(add(conv(5, (6, 3), 3, 1, (2, 1), dilation=2), joined))


def pooled() -> Graph:
    """Averages over patches that overlap and reach over the edge, where they count fewer elements."""
    chain = Chain()
    first = chain.add(Relu(), chain.add(conv(1, (2, 4), 3, 1, (1, 1)), chain.x))
    ones = functional.pad(torch.ones(1, 1, 14, 14, dtype=torch.float64), (1, 0, 1, 0))
    counts = 9 * functional.avg_pool2d(ones, 3, 2)[0, 0]
    pool = AveragePool((3, 3), (2, 2), (1, 1), (0, 0), 1 / counts)
    return chain.graph(chain.add(conv(2, (4, 3), 3, 1, (1, 1)), chain.add(pool, first)))


def unet() -> Graph:
    """What a strided convolution makes small and a transposed one large again, beside the image itself."""
    chain = Chain()
    first = chain.add(Relu(), chain.add(conv(1, (2, 4), 3, 1, (1, 1)), chain.x))
    small = chain.add(Relu(), chain.add(conv(2, (4, 6), 2, 2, (0, 0)), first))
    cut = chain.add(Pad((0, 0, -1, 0), (0, 0, 0, -1)), small)
    large = chain.add(Relu(), chain.add(transposed(3, (6, 3), 3, 2, (1, 0)), cut))
    padded = chain.add(Pad((0, 0, 1, 0), (0, 0, 1, 2)), large)
    joined = chain.add(Concat(1), first, padded)
    return chain.graph(chain.add(conv(4, (7, 3), 3, 1, (1, 1)), joined))


def thinned() -> Graph:
    """A transposed convolution with a stride beyond its kernel, one that is dilated, and one in groups."""
    chain = Chain()
    small = chain.add(Relu(), chain.add(conv(1, (2, 4), 3, 3, (0, 1)), chain.x))
    large = chain.add(Relu(), chain.add(transposed(2, (4, 3), 2, 3, (0, 0)), small))
    wider = chain.add(Relu(), chain.add(transposed(3, (3, 4), 2, 1, (1, 1), dilation=3), large))
    return chain.graph(chain.add(transposed(4, (4, 2), 3, 1, (1, 1), groups=2), wider))


GRAPHS = {"residual": residual(), "pooled": pooled(), "unet": unet(), "thinned": thinned()}


def boxes() -> tuple[Tensor, Tensor]:
    centre = torch.rand(2, 2 * 14 * 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return centre - 0.1, centre + 0.1


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_windows_bound_as_whole_rows_do(graph: Graph) -> None:
    tool = Propagator(graph, None, torch.float64)
    state = tool.propagate(*boxes(), NEVER)
    (value,) = graph.outputs
    element = torch.arange(value.size).repeat(2)
    box = torch.arange(2).repeat_interleave(value.size)
    sign = torch.where(torch.arange(element.numel()) % 3 == 0, -1.0, 1.0).double()
    order = torch.randperm(element.numel(), generator=torch.Generator().manual_seed(1))
    box, element = box[order], element[order]
    unit = torch.zeros(element.numel(), value.size, dtype=torch.float64)
    unit[torch.arange(element.numel()), element] = sign
    rows = backward.Rows(element.numel(), box=box)
    start = patches.units(value.shape, box, element, sign)
    assert start.small() and torch.equal(start.dense().flatten(1), unit)
    whole = unit.reshape(-1, *value.shape)
    zero = torch.zeros_like(sign)
    expected = backward.lower_bounds(tool.graph, state, {value: whole}, rows, zero)
    found = backward.lower_bounds(tool.graph, state, {value: start}, rows, zero)
    torch.testing.assert_close(found.A, expected.A, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.lower, expected.lower, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.error, expected.error, rtol=1e-6, atol=0)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
@pytest.mark.parametrize(
    ("dtype", "light"),
    [(torch.float32, False), (torch.float64, False), (torch.float64, True)],
    ids=["float32", "float64", "light"],
)
def test_refined_bounds_hold_at_samples(graph: Graph, dtype: torch.dtype, light: bool) -> None:
    tool = Propagator(graph.to("cpu", dtype), None, dtype, light=light)
    lower, upper = (end.to(dtype) for end in boxes())
    state = tool.propagate(lower, upper, NEVER)
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        t = torch.rand(lower.shape, generator=generator, dtype=torch.float64)
        x = lower.double() + (t > 0.5 if _ % 2 else t) * (upper.double() - lower.double())
        values = dict(graph.split_inputs(x))
        for node, own in zip(graph.nodes, tool.graph.nodes, strict=True):
            values[node.output] = node.op(*(values[v] for v in node.inputs))
            low, high = state.interval[own.output]
            assert (values[node.output] >= low.double()).all() and (
                values[node.output] <= high.double()
            ).all()


def test_whole_rows_over_few_pixels_become_windows() -> None:
    rows = torch.zeros(4, 1, 3, 9, 11, dtype=torch.float64)
    rows[0, 0, 2, 8, 10], rows[1, 0, :, 4, 5:7], rows[2, 0, 1, 0, 0] = 1.0, -2.0, 3.0  # and a row of zeros
    patch = patches.narrowed(rows, torch.tensor([0, 1, 1, 0]))
    assert patch is not None and patch.data.shape == (4, 1, 2, 3)
    assert torch.equal(patch.dense(), rows)
    rows[3, 0, 0, ::8, ::10] = 1.0
    assert patches.narrowed(rows, torch.zeros(4, dtype=torch.long)) is None


def test_windows_from_different_places_are_not_added() -> None:
    rows = torch.zeros(1, 1, 1, 9, 9, dtype=torch.float64)
    rows[0, 0, 0, 4, 4] = 1.0
    a, b = (patches.narrowed(rows, torch.zeros(1, dtype=torch.long)) for _ in range(2))
    assert a is not None and b is not None and patches.added(a, b) is None


def test_windows_that_move_out_of_step_are_added_where_they_lie() -> None:
    sign, index = torch.ones(3, dtype=torch.float64), torch.tensor([0, 6, 12])
    a = patches.units((1, 2, 5, 5), torch.zeros(3, dtype=torch.long), index, sign)
    b = patches.Patches(a.data.clone(), a.corner + torch.tensor([[0, 2], [1, 0], [0, 0]]), a.places, a.shape)
    both = patches.added(a, b)
    assert both is not None and both.data.shape == (3, 2, 3, 2)
    assert torch.equal(both.dense(), a.dense() + b.dense())
