# SPDX-License-Identifier: Apache-2.0
"""A relaxation of two neurons jointly, from outside of the engine."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable

import pytest
import torch
from sample_networks import FLOAT64, NETWORKS, bounded, boxes, dense, outputs_of, samples
from torch import Tensor

from vnnverify.bounds.methods import METHODS, Crown
from vnnverify.bounds.relaxation import JointRows, JointRule
from vnnverify.ir import Elementwise, Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Box


class PairsOfRelus(JointRule):
    """relu(z1) + relu(z2) <= p z1 + q z2 + c for neighbouring open neurons, where z1 + z2 <= s is known: the
    left side less the linear part is convex, so that its maximum over the box cut by s is at a corner."""

    name = "pairs"

    def rows(
        self, op: Elementwise, lower: Tensor, upper: Tensor, least: Callable[[Tensor], Tensor]
    ) -> JointRows | None:
        """The plane through the lowest corner and the two where the cut meets the box."""
        open_ = ((lower < 0) & (upper > 0)).all(dim=0).nonzero()[:, 0]
        if not isinstance(op, Relu) or open_.numel() < 2:
            return None
        pairs = open_[: open_.numel() // 2 * 2].reshape(-1, 2)  # (K, 2)
        sums = torch.zeros(len(pairs), lower.shape[1], dtype=lower.dtype).scatter(1, pairs, 1.0)
        s = torch.minimum(-least(-sums), upper[:, pairs].sum(dim=2))  # (B, K)
        low, high = lower[:, pairs], upper[:, pairs]  # (B, K, 2)
        cut = torch.maximum(torch.minimum(s[:, :, None] - high.flip(2), high), low)
        first = torch.stack([high[..., 0], cut[..., 1]], dim=2) - low
        second = torch.stack([cut[..., 0], high[..., 1]], dim=2) - low
        at = (first + low).clamp(min=0).sum(dim=2), (second + low).clamp(min=0).sum(dim=2)
        det = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
        p = (at[0] * second[..., 1] - at[1] * first[..., 1]) / det
        q = (at[1] * first[..., 0] - at[0] * second[..., 0]) / det
        slopes = torch.nan_to_num(torch.stack([p, q], dim=2), 0.0, 0.0, 0.0)
        c = torch.full_like(s, -torch.inf)
        ends = [torch.stack([low[..., k], high[..., k], cut[..., k]], dim=2) for k in (0, 1)]
        for i, j in itertools.product(range(3), range(3)):
            z = torch.stack([ends[0][..., i], ends[1][..., j]], dim=2)
            beyond = z.sum(dim=2) > s + 1e-9  # no corner of what is left of the box
            value = z.clamp(min=0).sum(dim=2) - (slopes * z).sum(dim=2)
            c = torch.where(beyond, c, torch.maximum(c, value))
        size = (1 + slopes.abs().amax(dim=2)) * (1 + low.abs().amax(dim=2) + high.amax(dim=2))
        return JointRows(pairs, -slopes, torch.ones_like(slopes), c + 1e-8 * size)


PAIRS = Crown("crown with pairs", joint=PairsOfRelus())


def test_it_costs_at_most_eighty_lines() -> None:
    (rule,) = ast.parse(textwrap.dedent(inspect.getsource(PairsOfRelus))).body
    assert rule.end_lineno is not None and rule.end_lineno - rule.lineno + 1 <= 80


def test_inequalities_and_bounds_hold_at_sampled_points() -> None:
    graph = dense(Relu(), sizes=(4, 12, 12, 12, 3))
    region = boxes(graph, 2, radius=0.5)
    found = bounded(PAIRS, graph, region)
    assert len(found.record.joint) == 3
    C = outputs_of(graph, 2).C
    points = samples(region, 50_000)  # 10^5 with both boxes
    values = [graph.evaluate(x) for x in points.unbind(1)]
    for box, at in enumerate(values):
        assert bool((at[graph.outputs[0]] @ C[box].T >= found.lower[box]).all())
        for value, ends in found.values.items():
            assert bool((at[value] >= ends.lower[box]).all() and (at[value] <= ends.upper[box]).all())
        for node, joint in found.record.joint.items():
            z, y = at[node.inputs[0]][:, joint.index], at[node.output][:, joint.index]
            assert bool(((joint.a[box] * z + joint.b[box] * y).sum(dim=2) <= joint.c[box]).all())


@pytest.mark.parametrize("network", ["relu", "residual"])
def test_it_is_as_tight_as_single_neurons(network: str) -> None:
    """Of the same intermediate bounds."""
    graph = NETWORKS[network]()
    region = boxes(graph, 3)
    methods = Crown(joint=PairsOfRelus(), intermediate="interval"), METHODS["crown-ibp"]
    both, single = (bounded(method, graph, region) for method in methods)
    assert both.record.joint and bool((both.lower >= single.lower).all())


def test_two_neurons_by_hand() -> None:
    """relu(x1 + x2) + relu(x1 - x2) over [-1, 1]^2: the chords sum up to x1 + 2, at most 3. With z1 + z2 <= 2
    the plane through (-2, -2), (2, 0) and (0, 2) has slopes 1/3; the corner (2, -2) lifts it to
    (z1 + z2)/3 + 2 = 2/3 x1 + 2, at most 8/3. The true maximum is 2."""
    x, z, y, total = Value("x", (2,)), Value("z", (2,)), Value("y", (2,)), Value("s", (1,))
    first = Linear(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=FLOAT64))
    last = Linear(torch.ones(1, 2, dtype=FLOAT64))
    nodes = Node(first, (x,), z, "z"), Node(Relu(), (z,), y, "y"), Node(last, (y,), total, "s")
    graph = Graph((x,), (total,), nodes)
    one = torch.ones(1, 2, dtype=FLOAT64)
    chords, pairs = (
        bounded(method, graph, Box(-one, one)).lower[0, 1] for method in (METHODS["crown"], PAIRS)
    )
    assert float(chords) == pytest.approx(-3) and float(pairs) == pytest.approx(-8 / 3, abs=1e-6)


def test_what_is_never_true_is_never_taken() -> None:
    """An infinite side tells nothing: its inequality gets no multiplier."""
    index = torch.tensor([[0, 1]])
    one = torch.ones(1, 1, 2, dtype=FLOAT64)
    rows = JointRows(index, -one, one, torch.tensor([[torch.inf]], dtype=FLOAT64))
    taken = rows.multipliers(torch.tensor([[-1.0, -2.0, 3.0]], dtype=FLOAT64), torch.tensor([0]))
    assert taken.tolist() == [[0.0]]
    finite = JointRows(index, -one, one, torch.tensor([[5.0]], dtype=FLOAT64))
    cases = torch.tensor([[-1.0, -2.0, 3.0], [-1.0, 2.0, 0.0]], dtype=FLOAT64)
    assert finite.multipliers(cases, torch.tensor([0, 0])).tolist() == [[1.0], [0.0]]
