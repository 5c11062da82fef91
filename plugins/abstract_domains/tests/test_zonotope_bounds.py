# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from vnnverify_abstract_domains.propagation import Outputs, propagate
from vnnverify_abstract_domains.rules import domain
from vnnverify_abstract_domains.zonotope import TooBig, Zonotope

from vnnverify import Box, Clause, Deadline, Polytope
from vnnverify.bounds.specification import Specification
from vnnverify.deadline import OutOfTime
from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Bilinear, Graph, Node, Value
from vnnverify.ops.bilinear import MatMul, Mul
from vnnverify.ops.maximum import Max, ReduceMax
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum
from vnnverify.testing import check_domain, operator_cases


def outputs(graph: Graph, lower, upper, budget: int = 64 << 20) -> Outputs:
    """Over one box (n,) or several (B, n), in the boxes' float type."""
    lower, upper = (torch.as_tensor(end) for end in (lower, upper))
    lower, upper = (end.reshape(-1, end.shape[-1]) for end in (lower, upper))
    return propagate(domain.prepare(graph).to("cpu", lower.dtype), lower, upper, budget, Deadline.never())


def bounds(graph: Graph, lower, upper):
    found = outputs(graph, lower, upper).value
    return found.lower[0], found.upper[0]


def alone(graph: Graph, lower, upper):
    """What centre, generators and errors say, without the intervals."""
    z = outputs(graph, lower, upper).value
    found = Zonotope.of(z.centre, z.generators, z.error)
    return found.lower[0], found.upper[0]


def double(*numbers: float):
    return torch.tensor(numbers, dtype=torch.float64)


def two_inputs(op, shape=(1,)) -> Graph:
    x, y, z = Value("x", shape), Value("y", shape), Value("z", shape)
    return Graph((x, y), (z,), (Node(op, (x, y), z, "op"),))


@pytest.mark.parametrize("what", [bounds, alone])
def test_bounds_enclose_every_operator(what):
    records = check_domain(what, name="zonotope", narrowing=False)
    assert records
    assert not [r for r in records if r.status != "passed"]


def test_absolute_value_by_hand(make):
    """|x| = relu(x) + relu(−x) over [−1, 2]. The chords 2/3·(x + 1) and 1/3·(2 − x) lie above by at most
    2/3 each, so |x| = x/3 + 2/3 ± 1/3 ± 1/3."""
    graph = make.chain([make.linear([[1], [-1]]), Relu(), make.linear([[1, 1]])], 1)
    low, high = alone(graph, double(-1), double(2))
    assert (low.item(), high.item()) == pytest.approx((-1 / 3, 2), abs=1e-12)
    low, high = bounds(graph, double(-1), double(2))
    assert (low.item(), high.item()) == pytest.approx((0, 2), abs=1e-12)


def test_a_value_less_itself_is_nothing():
    """Two paths from one ReLU cancel, symbol by symbol, where intervals would give [−2, 2]."""
    x, r, z = Value("x", (1,)), Value("r", (1,)), Value("z", (1,))
    graph = Graph((x,), (z,), (Node(Relu(), (x,), r, "relu"), Node(Sum((1, -1)), (r, r), z, "less")))
    low, high = bounds(graph, double(-1), double(2))
    assert -1e-14 < low.item() <= 0 <= high.item() < 1e-14


def test_symbols_of_two_branches_are_kept_apart(make):
    """relu(x) + relu(y): whatever makes both symbols one would give a radius that is too small."""
    x, a, b, z = (Value(name, (1,)) for name in "xabz")
    y = Value("y", (1,))
    nodes = (Node(Relu(), (x,), a, "a"), Node(Relu(), (y,), b, "b"), Node(Sum((1, -1)), (a, b), z, "less"))
    low, high = alone(Graph((x, y), (z,), nodes), double(-1, -1), double(1, 1))
    assert (low.item(), high.item()) == pytest.approx((-1.5, 1.5), abs=1e-12)


def test_product_by_hand():
    """(2 + t)(1 + u) = 2 + t + 2u ± 1; the four corners know better below."""
    low, high = alone(two_inputs(Mul()), double(1, 0), double(3, 2))
    assert (low.item(), high.item()) == pytest.approx((-2, 6), abs=1e-12)
    low, high = bounds(two_inputs(Mul()), double(1, 0), double(3, 2))
    assert (low.item(), high.item()) == pytest.approx((0, 6), abs=1e-12)


def test_matrix_product_by_hand():
    """[x, y] [u, v]ᵀ with x, y, u, v = 1 ± 1: 2 ± 4 for the linear part, ± 2 for the rest."""
    x, y, z = Value("x", (1, 2)), Value("y", (2, 1)), Value("z", (1, 1))
    graph = Graph((x, y), (z,), (Node(MatMul(), (x, y), z, "op"),))
    low, high = alone(graph, double(0, 0, 0, 0), double(2, 2, 2, 2))
    assert (low.item(), high.item()) == pytest.approx((-4, 8), abs=1e-12)


def test_a_sure_winner_passes_on_its_generators():
    x, m, z = Value("x", (2,)), Value("m", ()), Value("z", ())
    graph = Graph((x,), (m,), (Node(ReduceMax((0,), False), (x,), m, "max"),))
    found = outputs(graph, double(0, 2), double(1, 3)).value
    assert found.generators[0, :, 0].tolist() == pytest.approx([0, 0.5])
    found = outputs(graph, double(0, 0), double(2, 1)).value
    assert found.generators[0, :, 0].tolist() == pytest.approx([0, 0, 1])
    less = Graph((x,), (z,), (*graph.nodes, Node(Sum((1, -1)), (m, m), z, "less")))
    assert bounds(less, double(0, 0), double(2, 1))[1].item() < 1e-14


def test_maximum_of_a_value_with_itself_is_that_value():
    x, z = Value("x", (1,)), Value("z", (1,))
    graph = Graph((x,), (z,), (Node(Max(), (x, x), z, "max"),))
    low, high = bounds(graph, double(-1), double(3))
    assert (low.item(), high.item()) == pytest.approx((-1, 3), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_never_looser_than_intervals(make, dtype):
    generator = torch.Generator().manual_seed(1)
    cases = [(case.graph, case.low, case.high) for case in operator_cases()]
    cases += [(make.dense(4, 20, 20, 3, seed=s), -1.0, 1.0) for s in range(3)]
    compared = 0
    for graph, low, high in cases:
        if not interval.supports(graph):
            continue
        ends = low + (high - low) * torch.rand(2, 16, graph.input_size, generator=generator).to(dtype)
        lower, upper = ends.amin(dim=0), ends.amax(dim=0)
        ours = outputs(graph, lower, upper).value
        theirs = interval.bounds_of_values(graph.to("cpu", dtype), lower, upper)
        loosest = [graph.join_outputs({v: theirs[v][end] for v in graph.outputs}) for end in (0, 1)]
        assert (ours.lower >= loosest[0]).all() and (ours.upper <= loosest[1]).all()
        compared += 1
    assert compared > 40


def test_affine_maps_cost_nothing(make):
    """(x, y) -> (x + y, x − y) twice is 2 (x, y): exact here, while intervals double at each step."""
    turn = make.linear([[1, 1], [1, -1]])
    graph = make.chain([turn, turn], 2)
    low, high = bounds(graph, double(-1, 0), double(1, 1))
    assert low.tolist() == pytest.approx([-2, 0], abs=1e-12)
    assert high.tolist() == pytest.approx([2, 2], abs=1e-12)
    wide, _ = interval.bounds(graph, Box(double(-1, 0), double(1, 1)))
    assert wide.tolist() == pytest.approx([-3, -2], abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [0.0, 1e-6, 0.05, 1.0])
def test_margins_and_their_slopes_hold_at_samples(make, dtype, width):
    """margin(x) >= lower + Σ_j |A_j| · distance from the end of the box where A_j makes it least."""
    generator = torch.Generator().manual_seed(3)
    graph = make.dense(4, 24, 24, 24, 5)
    lower = torch.rand(7, 4, generator=generator).to(dtype) - 0.5
    upper = lower + width * torch.rand(7, 4, generator=generator).to(dtype)
    rows = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    clause = Clause(Box(lower[0], upper[0]), (Polytope.of(rows, double(*range(6)) / 8),))
    spec = Specification.of([clause], 5, torch.device("cpu")).take(torch.zeros(7, dtype=torch.long))
    least, A, gain = (part.double() for part in outputs(graph, lower, upper).bound(spec.as_type(dtype)))
    assert width == 0 or (A != 0).any()
    assert (gain >= 0).all()
    t = torch.rand(500, 1, 4, generator=generator, dtype=torch.float64)
    t[:100] = t[:100].round()
    x = torch.clamp(lower + t * (upper.double() - lower.double()), lower.double(), upper.double())
    y = graph(x.reshape(-1, 4)).reshape(500, 7, 5)
    margins = y @ rows.T - double(*range(6)) / 8
    distance = torch.where(A > 0, (x - lower)[:, :, None], (upper - x)[:, :, None])
    assert (margins >= least + (A.abs() * distance).sum(dim=3) - 1e-13).all()
    if width == 0:
        assert (margins - least < 1e4 * torch.finfo(dtype).eps).all()


def test_boxes_of_a_batch_do_not_mix(make):
    graph = make.dense(3, 15, 15, 2, seed=4)
    generator = torch.Generator().manual_seed(5)
    lower = torch.rand(9, 3, generator=generator, dtype=torch.float64) * 2 - 1
    upper = lower + torch.rand(9, 1, generator=generator, dtype=torch.float64)
    together = outputs(graph, lower, upper).value
    for k in range(9):
        low, high = bounds(graph, lower[k], upper[k])
        assert torch.allclose(together.lower[k], low, rtol=0, atol=1e-10)
        assert torch.allclose(together.upper[k], high, rtol=0, atol=1e-10)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e300])
def test_broken_numbers_prove_nothing(make, poison):
    graph = make.chain([make.linear([[poison]]), Relu(), make.linear([[-poison]]), make.linear([[1]])], 1)
    clause = Clause(Box(double(-1), double(1)), (Polytope.of(double(1)[None], double(0)),))
    spec = Specification.of([clause], 1, torch.device("cpu"))
    least, A, _ = outputs(graph, double(-1), double(1)).bound(spec)
    assert spec.open_polytopes(least).all()
    assert (A == 0).all()


def test_an_operator_that_blows_up_is_survived(make):
    """exp overflows; a clipped result is bounded all the same."""
    from vnnverify.ops.piecewise import Clip
    from vnnverify.ops.smooth import Exp

    graph = make.chain([make.linear([[1000.0]]), Exp(), Clip(0.0, 1.0)], 1)
    low, high = bounds(graph, double(-1), double(1))
    assert low.item() <= 0 and high.item() >= 1
    assert not low.isnan().any() and not high.isnan().any()


def test_too_little_memory_and_too_little_time(make):
    graph = make.dense(3, 50, 1)
    with pytest.raises(TooBig, match="symbols for 50 elements need"):
        outputs(graph, double(-1, -1, -1), double(1, 1, 1), budget=8 << 10)
    with pytest.raises(OutOfTime):
        propagate(graph, double(0, 0, 0)[None], double(1, 1, 1)[None], 1 << 30, Deadline.after(0))


class Cross(Bilinear):
    """A product that no table knows."""

    def __call__(self, *inputs):
        return -inputs[0] * inputs[1]


def test_an_unknown_product_is_refused():
    with pytest.raises(UnsupportedOperator, match="Cross"):
        outputs(two_inputs(Cross()), double(0, 0), double(1, 1))


def test_a_number_rounded_outward_is_covered_without_a_symbol(make):
    """The second input's interval is two units wide, which the weight makes four."""
    graph = make.chain([make.linear([[1.0, 2.0**53]])], 2)
    step = 2.0**-52
    found = outputs(graph, double(0, 1), double(1, 1 + 2 * step)).value
    assert found.generators.shape[1] == 1
    for end in (0.0, 1.0):
        assert found.lower[0] <= end + 2.0**53 <= found.upper[0]
        assert found.lower[0] <= end + 2.0**53 + 4 <= found.upper[0]
    low, high = alone(graph, double(0, 1), double(1, 1 + 2 * step))
    assert low <= 2.0**53 and high >= 2.0**53 + 5
