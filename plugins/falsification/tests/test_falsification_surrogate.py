# SPDX-License-Identifier: Apache-2.0
"""The graph that is attacked decides as the network does, and has gradients where that has none."""

from __future__ import annotations

import pytest
import torch
from vnnverify_falsification.backend import Falsification
from vnnverify_falsification.surrogate import Smoothed, attackable

from vnnverify import Verdict
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Clip, Relu
from vnnverify.ops.sigmoidal import Sigmoid
from vnnverify.ops.softmax import Softmax
from vnnverify.ops.steps import Floor, Sign

F64 = torch.float64


def kinds(graph):
    return [node.op.kind for node in graph.nodes]


@pytest.mark.parametrize("step", [Sign(), Floor()])
def test_a_step_keeps_its_values_and_gets_a_derivative(kit, step):
    graph = attackable(kit.chain([step], 4), [])
    x = torch.tensor([[-1.3, -0.2, 0.4, 2.1]], dtype=F64, requires_grad=True)
    y = graph(x)
    assert torch.equal(y, step(x))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert (gradient > 0).all()


def test_near_a_jump_the_derivative_is_larger():
    x = torch.tensor([[0.01, 1.0]], dtype=F64, requires_grad=True)
    (gradient,) = torch.autograd.grad(Smoothed(Sign())(x).sum(), x)
    assert gradient[0, 0] > 4 * gradient[0, 1]


@pytest.mark.parametrize("op", [Relu(), Clip(20.0, 30.0), Sigmoid()])
def test_what_has_a_gradient_somewhere_is_left_alone(kit, op):
    assert kinds(attackable(kit.chain([op, Relu()], 2), [])) == [op.kind, "Relu"]


@pytest.mark.parametrize("last", [Softmax(0), Sigmoid()])
def test_a_last_layer_that_keeps_the_order_is_left_out_where_outputs_are_compared(kit, last):
    graph = kit.chain([Relu(), last], 3)
    comparing = kit.clause([0] * 3, [1] * 3, kit.rows([[1, -1, 0], [0, 1, -1]], [0, 0]))
    assert kinds(attackable(graph, [comparing])) == ["Relu"]


@pytest.mark.parametrize(
    ("A", "b"),
    [([[1.0, 0, 0]], [0.0]), ([[1.0, -1, 0]], [0.1]), ([[1.0, -2, 0]], [0]), ([[1.0, 1, -1]], [0])],
)
def test_it_stays_where_more_than_the_order_matters(kit, A, b):
    graph = kit.chain([Relu(), Softmax(0)], 3)
    assert kinds(attackable(graph, [kit.clause([0] * 3, [1] * 3, kit.rows(A, b))])) == ["Relu", "Softmax"]


def test_a_network_of_signs_is_attacked_through_a_saturated_softmax(kit):
    """Unsafe: 40 of 60 signs are positive. Samples get to 22, and the softmax is 0 or 1 almost everywhere."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.sign(torch.randn(60, 40, generator=generator, dtype=F64))
    compare = 50 * torch.stack([-torch.ones(60), torch.ones(60)]).to(F64)
    ops = [
        Linear(weight, torch.zeros(60, dtype=F64)),
        Sign(),
        Linear(compare, torch.tensor([50.0 * 40, -50.0 * 40], dtype=F64)),
        Softmax(0),
    ]
    clause = kit.clause([-1] * 40, [1] * 40, kit.rows([[1.0, -1.0]], [0.0]))
    query = kit.query(kit.chain(ops, 40), [clause])
    samples = clause.region.sample(20_000, generator)
    assert not clause.violated_by(samples, query.graph(samples)).any()
    assert Falsification().verify(query, kit.context(query)).verdict is Verdict.SAT
