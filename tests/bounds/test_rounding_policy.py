# SPDX-License-Identifier: Apache-2.0
"""Plain rounding: the same bounds without error terms, which prove nothing."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from vnnverify.bounds.method import Bounds, Resources
from vnnverify.bounds.methods import METHODS, Crown, Intersection, IntervalMethod
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph, Node, Value
from vnnverify.numerics import (
    gamma,
    lower_as,
    proves,
    relative_error,
    round_down,
    round_up,
    rounded_outward,
    rounding,
    upper_as,
)
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Box, Region

PLAIN = Resources(rounding="plain")


def network(dtype: torch.dtype) -> Graph:
    generator = torch.Generator().manual_seed(0)
    x = Value("x", (1, 6))
    nodes: list[Node] = []
    last = x
    for out in (20, 20, 3):
        weight = torch.randn(out, last.shape[1], generator=generator, dtype=dtype)
        bias = torch.randn(out, generator=generator, dtype=dtype)
        z = Value(f"z{len(nodes)}", (1, out))
        nodes.append(Node(Linear(weight, bias), (last,), z, z.name))
        last = z
        if out == 20:
            last = Value(f"y{len(nodes)}", (1, out))
            nodes.append(Node(Relu(), (z,), last, last.name))
    return Graph((x,), (last,), tuple(nodes))


def given(dtype: torch.dtype) -> tuple[Graph, Region, Specification]:
    centre = torch.linspace(-1, 1, 6, dtype=dtype)[None]
    spec = Specification.outputs(3, 1, centre.device, dtype)
    return network(dtype), Box(centre - 0.1, centre + 0.1), spec


@pytest.mark.parametrize("name", METHODS)
def test_plain_bounds_lie_close_above_sound_ones(name: str) -> None:
    sound, plain = (METHODS[name].bound(*given(torch.float32), resources=r).lower for r in (None, PLAIN))
    assert bool((plain >= sound).all()) and bool((plain > sound).any())
    torch.testing.assert_close(plain, sound, rtol=1e-3, atol=1e-3)


def test_plain_intervals_are_those_of_the_textbook() -> None:
    graph, region, spec = given(torch.float64)
    lower, upper = region.lower, region.upper
    for node in graph.nodes:
        if isinstance(node.op, Linear):
            assert node.op.bias is not None
            centre, radius = (upper + lower) / 2, (upper - lower) / 2
            centre, radius = centre @ node.op.weight.T + node.op.bias, radius @ node.op.weight.abs().T
            lower, upper = centre - radius, centre + radius
        else:
            lower, upper = lower.relu(), upper.relu()
    found = IntervalMethod().bound(graph, region, spec, resources=PLAIN)
    torch.testing.assert_close(found.lower, torch.cat([lower, -upper], dim=1), rtol=1e-14, atol=1e-14)


def everything_open(bounds: Bounds, spec: Specification) -> bool:
    return bool(bounds.open_polytopes(spec).all())


def test_plain_bounds_and_all_that_rests_on_them_prove_nothing() -> None:
    graph, region, spec = given(torch.float64)
    easy = Specification.rows(spec.C, spec.d - 1e6)
    sound = Crown().bound(graph, region, easy)
    assert sound.sound and not everything_open(sound, easy)
    plain = IntervalMethod().bound(graph, region, easy, resources=PLAIN)
    assert not plain.sound and everything_open(plain, easy)
    for method in (*METHODS.values(), Intersection((IntervalMethod(), Crown()))):
        assert method.bound(graph, region, easy, sound).sound
        later = method.bound(graph, region, easy, plain)
        assert not later.sound and everything_open(later, easy), method.name


def test_the_policy_ends_with_its_context_and_stays_in_its_thread() -> None:
    elsewhere: list[bool] = []
    with pytest.raises(ZeroDivisionError), rounding("plain"):
        assert not rounded_outward()
        with rounding("sound"):
            assert rounded_outward()
        thread = threading.Thread(target=lambda: elsewhere.append(rounded_outward()))
        thread.start()
        thread.join()
        raise ZeroDivisionError
    assert rounded_outward() and elsewhere == [True]


def test_under_plain_rounding_nothing_moves_and_nothing_is_proved() -> None:
    third = torch.tensor([1 / 3], dtype=torch.float64)

    def ends() -> list[Tensor]:
        return [round_down(third), lower_as(third, torch.float32).double(), round_up(third)]

    assert ends()[0] < third and ends()[1] <= third < ends()[2] and proves(third)
    assert upper_as(third, torch.float32).double() >= third and gamma(1, torch.float64) > 0
    with rounding("plain"):
        assert round_down(third) is third is round_up(third) and not proves(third)
        assert torch.equal(upper_as(third, torch.float32), third.float())
        assert gamma(1, torch.float64) == 0 == relative_error(torch.float64)


def test_gradients_pass_through_roundings() -> None:
    x = torch.tensor([1 / 3, 0.0, -torch.inf, torch.inf], dtype=torch.float64, requires_grad=True)
    for rounded in (round_down(x), round_up(x), lower_as(x, torch.float32), upper_as(x, torch.float32)):
        (gradient,) = torch.autograd.grad(rounded.sum(), x)
        assert torch.equal(gradient, torch.ones_like(x))
        assert torch.equal(rounded.detach(), rounded)
