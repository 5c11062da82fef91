# SPDX-License-Identifier: Apache-2.0
"""Every bounding method encloses what it bounds, and is as tight as the theory says."""

from __future__ import annotations

import ast
import inspect
import textwrap
from fractions import Fraction

import pytest
import torch
from sample_networks import FLOAT64, NETWORKS, affine, bounded, boxes, dense, outputs_of, samples
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds.method import BoundMethod, Record, Resources
from vnnverify.bounds.methods import METHODS, AlphaCrown, Crown, Forward, Intersection, IntervalMethod
from vnnverify.bounds.methods.sweep import prepared
from vnnverify.bounds.relaxation import ADAPTIVE, LEAST_AREA, ONE, PARALLEL, ZERO, SlopeRule
from vnnverify.deadline import OutOfTime
from vnnverify.ir import Elementwise, Graph, Node, Value
from vnnverify.numerics import proves
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Box, Region

NEAR = 1e-9
"""What roundings may cost in these networks in float64."""
BOTH = Intersection((METHODS["interval"], METHODS["forward"], METHODS["crown"]))
QUICK = AlphaCrown(steps=4)
SOUND: dict[str, BoundMethod] = {**METHODS, "alpha-crown": QUICK, BOTH.name: BOTH}


class Odd(SlopeRule):
    """Slopes of nobody: −0.7 or 1.6 below, the chord and a half above."""

    name = "odd"

    def slopes(self, op: Elementwise, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Whatever the interval, every other slope below is as bad as the next."""
        below = torch.full_like(lower, 1.6)
        below[..., ::2] = -0.7
        return below, op.slopes(lower, upper)[1] + 0.5


RULES = [ADAPTIVE, LEAST_AREA, PARALLEL, ZERO, ONE, Odd()]


def assert_sound(method: BoundMethod, graph: Graph, region: Region) -> None:
    """Margins, their linear functions and all intermediate bounds hold at sampled points."""
    found = bounded(method, graph, region)
    exact = prepared(graph) if method.name != "combined" else graph
    C = outputs_of(graph, region.lower.shape[0]).C
    values = {value.name: ends for value, ends in found.values.items()}
    assert not torch.isnan(found.lower).any()
    checked = 0
    for x in samples(region, 60):
        at = exact.to("cpu", FLOAT64).evaluate(x)
        y = torch.cat([at[v].flatten(1) for v in exact.outputs], 1)
        margins = torch.einsum("bsm,bm->bs", C, y)
        assert bool((found.lower.double() <= margins + NEAR).all())
        if found.linear is not None:
            line = torch.einsum("bsn,bn->bs", found.linear.A.double(), x) + found.linear.c.double()
            assert bool((line <= margins + NEAR).all())
        for value, exactly in at.items():
            if value.name in values:
                ends = values[value.name]
                checked += 1
                assert bool((ends.lower.double() <= exactly + NEAR).all()), value.name
                assert bool((ends.upper.double() >= exactly - NEAR).all()), value.name
    assert checked >= 60 * len(graph.nodes) // 2


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", SOUND)
def test_bounds_hold_at_sampled_points(name: str, network: str) -> None:
    graph = NETWORKS[network]()
    for dtype, batch in ((torch.float64, 3), (torch.float32, 1)):
        assert_sound(SOUND[name], graph.to("cpu", dtype), boxes(graph, batch))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_slope_rule_is_unsound(rule: SlopeRule) -> None:
    for network in ("relu", "tanh", "convolutional"):
        graph = NETWORKS[network]()
        region = boxes(graph, 2)
        for method in (Crown(slopes=rule), Forward(slopes=rule), AlphaCrown(slopes=rule, steps=2)):
            assert_sound(method, graph, region)
        assert_sound(Crown(slopes=rule), graph.to("cpu", torch.float32), region)


def test_a_slope_rule_costs_at_most_fifteen_lines() -> None:
    source = textwrap.dedent(inspect.getsource(Odd))
    (rule,) = ast.parse(source).body
    assert rule.end_lineno is not None and rule.end_lineno - rule.lineno + 1 <= 15


@pytest.mark.parametrize("name", SOUND)
def test_affine_maps_are_bounded_exactly(name: str) -> None:
    """By hand: the map is x ↦ M x + b, whose least value over a box is M c − |M| r + b."""
    graph, batch = affine(), 2
    region = boxes(graph, batch)
    b = graph(torch.zeros(1, 4, dtype=FLOAT64))[0]
    M = (graph(torch.eye(4, dtype=FLOAT64)) - b).T
    centre, radius = (region.lower + region.upper) / 2, (region.upper - region.lower) / 2
    middle, reach = centre @ M.T + b, radius @ M.abs().T
    least = torch.cat([middle - reach, -middle - reach], 1)
    found = bounded(SOUND[name], graph, region).lower
    if name == "interval":  # which knows nothing of the two paths' common input
        assert bool((found <= least + NEAR).all())
    else:
        torch.testing.assert_close(found, least, rtol=0, atol=NEAR)


def test_one_affine_map_is_exact_by_intervals() -> None:
    graph = dense(Relu(), sizes=(4, 3))
    region = boxes(graph, 2)
    assert len(graph.nodes) == 1
    expected = bounded(METHODS["crown"], graph, region).lower
    for name in ("interval", "forward"):
        torch.testing.assert_close(bounded(METHODS[name], graph, region).lower, expected, rtol=0, atol=NEAR)


def one_relu() -> tuple[Graph, Region]:
    """y = relu(x) over [−1, 3]."""
    x, y = Value("x", (1,)), Value("y", (1,))
    ends = (torch.tensor([[end]], dtype=FLOAT64) for end in (-1.0, 3.0))
    return Graph((x,), (y,), (Node(Relu(), (x,), y, "y"),)), Box(*ends)


@pytest.mark.parametrize(
    ("method", "lower"),
    [
        (METHODS["interval"], 0.0),
        (METHODS["crown"], -1.0),  # the line x: 3 > 1
        (METHODS["deeppoly"], -1.0),
        (METHODS["fast-lin"], -0.75),  # ¾ x, parallel to the chord
        (Crown(slopes=ZERO), 0.0),
        (Crown(slopes=ONE), -1.0),
        (METHODS["alpha-crown"], 0.0),
        (Intersection((METHODS["crown"], METHODS["interval"])), 0.0),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_one_relu_by_hand(method: BoundMethod, lower: float) -> None:
    graph, region = one_relu()
    found = bounded(method, graph, region).lower[0].tolist()
    assert found == pytest.approx([lower, -3.0], abs=NEAR)  # the chord is 3 at 3


def test_lines_of_fast_lin_are_parallel() -> None:
    graph = dense(Relu())
    found = bounded(METHODS["fast-lin"], graph, boxes(graph, 2))
    assert len(found.record.relaxations) == 2
    for lines in found.record.relaxations.values():
        assert torch.equal(lines.below_slope, lines.above_slope)
        assert bool(((lines.below_slope > 0) & (lines.below_slope < 1)).any())


def at_least(tight: BoundMethod, loose: BoundMethod, network: str, slack: float = NEAR) -> Tensor:
    """Whether a method is nowhere looser than another; returns by how much it is tighter."""
    graph = NETWORKS[network]()
    region = boxes(graph, 3)
    a, b = bounded(tight, graph, region).lower, bounded(loose, graph, region).lower
    assert bool((a >= b - slack).all())
    return (a - b).max()


@pytest.mark.parametrize("network", ["relu", "convolutional", "residual"])
def test_alpha_crown_is_as_tight_as_deeppoly(network: str) -> None:
    """With the same intermediate bounds: the ascent starts at DeepPoly's slopes and keeps the best. (With
    others it need not be, as slopes follow the ends of intervals.)"""
    gain = at_least(AlphaCrown(intermediate=False), METHODS["deeppoly"], network, 1e-5)
    assert gain > 1e-3


def test_alpha_crown_betters_the_first_hidden_bounds() -> None:
    """Those of the second layer rest on intervals that are exact, so all methods have the same."""
    graph = NETWORKS["relu"]()
    value = graph.nodes[2].output
    own, other = (bounded(METHODS[name], graph, boxes(graph, 3)) for name in ("alpha-crown", "deeppoly"))
    gain = own.values[value].lower - other.values[value].lower
    assert bool((gain >= -1e-9).all()) and gain.max() > 1e-3
    assert own.values[value].origin == "alpha-crown" and other.values[value].origin == "deeppoly"


@pytest.mark.parametrize("network", NETWORKS)
def test_an_intersection_is_as_tight_as_each_of_its_methods(network: str) -> None:
    for method in BOTH.methods:
        at_least(BOTH, method, network)


@pytest.mark.parametrize("network", ["relu", "tanh"])
def test_the_linear_function_of_an_intersection_attains_its_bound(network: str) -> None:
    """Else clipping by it would cut off what the bound does not exclude. Here each method wins some rows."""
    graph = NETWORKS[network]()
    methods = (METHODS["interval"], Crown("ibp", slopes=ONE, intermediate="interval"))
    region = boxes(graph, 3)
    found = bounded(Intersection(methods), graph, region)
    first = bounded(methods[0], graph, region)
    wins = found.lower == first.lower
    assert found.linear is not None and bool(wins.any()) and bool((found.linear.A[wins] == 0).all())
    assert bool((found.linear.A[~wins] != 0).any(dim=-1).all())
    least = region.least(found.linear.A).value + found.linear.c
    torch.testing.assert_close(least, found.lower, rtol=0, atol=NEAR)


def test_sharing_makes_an_intersection_tighter_here() -> None:
    graph = NETWORKS["tanh"]()
    shared, alone = (bounded(Intersection(BOTH.methods, s), graph, boxes(graph, 3)) for s in (True, False))
    assert float((shared.lower - alone.lower).sum()) > 0.01
    assert {e.origin for e in shared.values.values()} > {"input", "interval ∩ forward ∩ crown"}


def test_better_intermediate_bounds_give_better_ones() -> None:
    """With slope zero below ReLUs backward bounds lie within intervals, and lines close in as intervals
    shrink: CROWN is as tight as CROWN-IBP. (Other slopes jump or turn: no such theorem holds.)"""
    ibp = Crown("crown-ibp", slopes=ZERO, intermediate="interval")
    for network in ("relu", "residual"):
        assert at_least(Crown(slopes=ZERO), ibp, network) > 0


def test_crown_is_tighter_than_crown_ibp_as_a_rule() -> None:
    for network in ("relu", "residual", "tanh"):
        graph = NETWORKS[network]()
        found = (
            bounded(METHODS[name], graph, boxes(graph, 3)).lower.sum() for name in ("crown", "crown-ibp")
        )
        assert next(found) > next(found)


def test_deeppoly_is_crown_with_relus() -> None:
    graph = NETWORKS["residual"]()
    found = [bounded(METHODS[name], graph, boxes(graph, 2)).lower for name in ("crown", "deeppoly")]
    torch.testing.assert_close(*found, rtol=0, atol=NEAR)


@pytest.mark.parametrize(
    "method", [METHODS["interval"], Crown("zero", slopes=ZERO), Crown("one", slopes=ONE)]
)
def test_bounds_do_not_widen_as_boxes_shrink(method: BoundMethod) -> None:
    graph = NETWORKS["relu"]()
    region = boxes(graph, 3)
    centre, radius = (region.lower + region.upper) / 2, (region.upper - region.lower) / 2
    before = bounded(method, graph, region).lower
    for share in (0.8, 0.5, 0.2, 0.0):
        now = bounded(method, graph, Box(centre - share * radius, centre + share * radius)).lower
        assert bool((now >= before - NEAR).all())
        before = now
    y = graph(centre)  # of a point, every bound is its value
    torch.testing.assert_close(before, torch.cat([y, -y], 1), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("end", [float("inf"), float("nan"), 1e308])
def test_broken_boxes_prove_nothing(name: str, end: float) -> None:
    graph = dense(Relu())
    region = boxes(graph, 1)
    upper = region.upper.clone()
    upper[0, 0] = end
    lower = region.lower.clone()
    lower[0, 0] = -1e308
    found = bounded(SOUND[name], graph, Box(lower, upper))
    assert not bool(proves(found.lower).any())
    assert not torch.isnan(found.lower).any()


@pytest.mark.parametrize("name", [name for name in SOUND if name != BOTH.name])
def test_what_is_known_is_used_and_named(name: str) -> None:
    graph = dense(Relu())
    region = boxes(graph, 2)
    exact = bounded(METHODS["combined"], graph, region)
    known = bounded(IntervalMethod(), graph, region)
    tight = {v: exact.values[v] for v in known.values}
    given = type(known)(known.lower, None, tight, known.record)
    found = bounded(SOUND[name], graph, region, given)
    for value, ends in found.values.items():
        if value not in tight:
            continue
        assert bool((ends.lower >= tight[value].lower).all())
        assert bool((ends.upper <= tight[value].upper).all())
        assert ends.origin == "input" or ends.origin.startswith(tight[value].origin)
    assert given in found.record.parents


@pytest.mark.parametrize("name", SOUND)
def test_a_deadline_is_kept(name: str) -> None:
    graph = dense(Relu())
    with pytest.raises(OutOfTime):
        SOUND[name].bound(
            graph, boxes(graph, 1), outputs_of(graph, 1), resources=Resources(Deadline.after(0.0))
        )


@pytest.mark.parametrize(("name", "memory"), [("crown", 1 << 10), ("alpha-crown", 1 << 17)])
def test_rows_in_small_parts_are_bounded_alike(name: str, memory: int) -> None:
    graph = NETWORKS["residual"]()
    region, spec = boxes(graph, 3), outputs_of(graph, 3)
    whole = SOUND[name].bound(graph, region, spec)
    parts = SOUND[name].bound(graph, region, spec, resources=Resources(memory=memory))
    torch.testing.assert_close(whole.lower, parts.lower, rtol=0, atol=1e-4)


def relus_in_fractions(record: Record, graph: Graph, region: Region) -> list[Fraction]:
    """The lower bounds of the outputs and their negatives over one box, from nothing but the slopes and
    offsets of a record: without any rounding, and without the code that found them."""
    found = []
    for k, row in enumerate(outputs_of(graph, 1).C[0].tolist()):
        total, rows = Fraction(0), [Fraction(a) for a in row]
        for node in reversed(graph.nodes):
            if isinstance(node.op, Linear):
                assert node.op.bias is not None
                total += sum(a * Fraction(b) for a, b in zip(rows, node.op.bias.tolist(), strict=True))
                weight = node.op.weight.T.tolist()
                rows = [sum(a * Fraction(w) for a, w in zip(rows, line, strict=True)) for line in weight]
                continue
            (lines,) = (found for other, found in record.relaxations.items() if other.output is node.output)
            at = 0 if lines.below_slope.shape[0] == 1 else k  # of all rows, or of this one
            ends = (getattr(lines, name)[at].tolist() for name in lines.__slots__)
            below, low, above, high = ([Fraction(t) for t in end] for end in ends)
            total += sum(a * (low[j] if a > 0 else high[j]) for j, a in enumerate(rows))
            rows = [a * (below[j] if a > 0 else above[j]) for j, a in enumerate(rows)]
        lower, upper = ([Fraction(t) for t in end[0].tolist()] for end in (region.lower, region.upper))
        found.append(total + sum(a * (lower[j] if a > 0 else upper[j]) for j, a in enumerate(rows)))
    return found


@pytest.mark.parametrize("name", ["crown", "fast-lin", "deeppoly", "crown-ibp", "alpha-crown"])
def test_a_record_is_enough_to_compute_the_bound_again(name: str) -> None:
    graph = dense(Relu())
    region = boxes(graph, 1)
    found = bounded(SOUND[name], graph, region)
    exact = relus_in_fractions(found.record, graph, region)
    for lower, proved in zip(found.lower[0].tolist(), exact, strict=True):
        assert Fraction(lower) <= proved <= Fraction(lower) + Fraction(1, 10**9)
