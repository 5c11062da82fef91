# SPDX-License-Identifier: Apache-2.0
"""Functions that are written out become one node with closer bounds; what only looks like one stays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from vnnverify.domains import interval
from vnnverify.ir import Graph, Value
from vnnverify.ops.choice import Choice
from vnnverify.ops.piecewise import Abs, Clip, Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Exp, Log, Power, Reciprocal, Softplus, Sqrt
from vnnverify.ops.steps import Sign, Step
from vnnverify.simplify import join_functions, simplify

from .conftest import Writer, same

ROOT = float(np.float32(np.sqrt(2)))
TWO_OVER_PI = float(np.float32(np.sqrt(2 / np.pi)))
CUBIC = float(np.float32(0.044715))
Written = Callable[[Writer], Value]


def gelu(w: Writer) -> Value:
    """0.5·x·(1 + erf(x/√2)), as torch exports it."""
    open_ = w.line(1.0, w.of(Erf(), w.line(1 / ROOT, w.x)), 1.0)
    return w.line(0.5, w.product(w.x, open_))


def gelu_as_a_sum(w: Writer) -> Value:
    """x/2 + x/2·erf(…)."""
    half = w.line(0.5, w.x)
    return w.plus(half, w.product(half, w.of(Erf(), w.line(1 / ROOT, w.x))))


def gelu_tanh(w: Writer) -> Value:
    """With x³ as a power, and the half in front."""
    bent = w.line(TWO_OVER_PI, w.plus(w.x, w.line(CUBIC, w.of(Power(3.0), w.x))))
    return w.product(w.line(0.5, w.x), w.line(1.0, w.of(Tanh(), bent), 1.0))


def gelu_tanh_by_products(w: Writer) -> Value:
    """x·√(2/π)·(1 + 0.044715·x·x) inside."""
    inner = w.line(1.0, w.product(w.line(CUBIC, w.x), w.x), 1.0)
    bent = w.product(w.line(TWO_OVER_PI, w.x), inner)
    return w.product(w.line(1.0, w.of(Tanh(), bent), 1.0), w.line(0.5, w.x))


def gelu_by_a_division(w: Writer) -> Value:
    open_ = w.line(1.0, w.of(Erf(), w.divided(w.x, ROOT)), 1.0)
    return w.line(0.5, w.product(w.x, open_))


def hard_swish(w: Writer) -> Value:
    return w.divided(w.product(w.x, w.of(Clip(0.0, 6.0), w.line(1.0, w.x, 3.0))), 6.0)


def hard_swish_by_a_product(w: Writer) -> Value:
    """Six times 1/6, rounded, is not one."""
    return w.line(1 / 6, w.product(w.x, w.of(Clip(0.0, 6.0), w.line(1.0, w.x, 3.0))))


def hard_swish_by_hard_sigmoid(w: Writer) -> Value:
    return w.product(w.of(Clip(0.0, 1.0), w.line(float(np.float32(1 / 6)), w.x, 0.5)), w.x)


def swish(w: Writer) -> Value:
    return w.product(w.x, w.of(Sigmoid(), w.line(1.702, w.x)))


def mish(w: Writer) -> Value:
    """x·tanh(log(1 + exp(x)))."""
    return w.product(w.of(Tanh(), w.of(Log(), w.line(1.0, w.of(Exp(), w.x), 1.0))), w.x)


def softplus(w: Writer) -> Value:
    return w.of(Log(), w.line(1.0, w.of(Exp(), w.line(-2.0, w.x, 1.0)), 1.0))


def sigmoid(w: Writer) -> Value:
    return w.of(Reciprocal(), w.line(1.0, w.of(Exp(), w.line(-1.0, w.x)), 1.0))


def sigmoid_by_a_quotient(w: Writer) -> Value:
    e = w.of(Exp(), w.x)
    return w.product(e, w.of(Reciprocal(), w.line(1.0, e, 1.0)))


def log_sigmoid(w: Writer) -> Value:
    return w.of(Log(), w.of(Sigmoid(), w.x))


def softsign(w: Writer) -> Value:
    return w.product(w.x, w.of(Reciprocal(), w.line(1.0, w.of(Abs(), w.x), 1.0)))


def inverse_root(w: Writer) -> Value:
    return w.of(Reciprocal(), w.of(Sqrt(), w.line(0.1, w.of(Exp(), w.x), 0.5)))


def leaky(w: Writer) -> Value:
    """Where(x > 0, x, x/8)."""
    return w.of(Choice(), w.of(Step(), w.x), w.x, w.line(0.125, w.x))


def elu(w: Writer) -> Value:
    return w.of(Choice(), w.of(Step(), w.x), w.x, w.line(0.5, w.of(Exp(), w.x), -0.5))


def masked(w: Writer) -> Value:
    """x·(x > 0)."""
    return w.product(w.x, w.of(Step(), w.x))


def threshold(w: Writer) -> Value:
    """Where(x <= 0.25, −1, x), as one less the step."""
    low = w.line(-1.0, w.of(Step(), w.line(1.0, w.x, -0.25)), 1.0)
    return w.of(Choice(), low, w.line(0.0, w.x, -1.0), w.x)


def size(w: Writer) -> Value:
    return w.product(w.x, w.of(Sign(), w.x))


def root_of_square(w: Writer) -> Value:
    return w.of(Sqrt(), w.product(w.x, w.x))


def signed_size(w: Writer) -> Value:
    return w.product(w.of(Sign(), w.x), w.of(Relu(), w.of(Abs(), w.x)))


def sum_of_multiples(w: Writer) -> Value:
    return w.plus(w.x, w.line(0.25, w.line(2.0, w.x)), -1)


JOINED: list[tuple[Written, list[str]]] = [
    (gelu, ["Gelu"]),
    (gelu_as_a_sum, ["Gelu"]),
    (gelu_tanh, ["GeluTanh"]),
    (gelu_tanh_by_products, ["GeluTanh"]),
    (gelu_by_a_division, ["Gelu"]),
    (hard_swish, ["HardSwish"]),
    (hard_swish_by_a_product, ["HardSwish", "Scale"]),
    (hard_swish_by_hard_sigmoid, ["HardSwish"]),
    (swish, ["Silu"]),
    (mish, ["Mish"]),
    (softplus, ["Scale", "Softplus"]),
    (sigmoid, ["Sigmoid"]),
    (sigmoid_by_a_quotient, ["Sigmoid"]),
    (log_sigmoid, ["Scale", "Softplus", "Scale"]),
    (softsign, ["Softsign"]),
    (inverse_root, ["Exp", "Scale", "InverseSqrt"]),
    (leaky, ["LeakyRelu"]),
    (elu, ["Elu"]),
    (masked, ["Relu"]),
    (threshold, ["Scale", "Relu", "Scale", "Step", "Scale", "Sum"]),
    (size, ["Abs"]),
    (root_of_square, ["Abs"]),
    (signed_size, []),
    (sum_of_multiples, ["Scale"]),
]


def widths(graph: Graph, x: torch.Tensor) -> torch.Tensor:
    lower, upper = interval.bounds_of_values(graph, x - 0.5, x + 0.5)[graph.outputs[0]]
    return upper - lower


@pytest.mark.parametrize(("written", "kinds"), JOINED, ids=lambda v: getattr(v, "__name__", ""))
def test_the_same_function_with_closer_bounds(written: Written, kinds: list[str]) -> None:
    w = Writer(2, 3)
    graph = w.graph(written(w))
    found = simplify(graph)
    assert sorted(node.op.kind for node in found.nodes) == sorted(kinds)
    x = same(found, graph) / 10
    before, after = widths(graph, x), widths(found, x)
    assert bool((after <= before + 1e-9).all() | before.isnan().any())


@pytest.mark.parametrize("written", [gelu, gelu_tanh, hard_swish, swish, mish, softsign, leaky, masked])
def test_bounds_are_closer_by_a_tenth(written: Written) -> None:
    w = Writer(6)
    graph = w.graph(written(w))
    x = torch.linspace(-2, 2, 60, dtype=torch.float64).reshape(-1, 6)
    assert float(widths(simplify(graph), x).sum()) < 0.9 * float(widths(graph, x).sum())


def other_halves(w: Writer) -> Value:
    """0.5·x + 0.4·x·erf(x)."""
    return w.plus(w.line(0.5, w.x), w.product(w.line(0.4, w.x), w.of(Erf(), w.x)))


def another_gate(w: Writer) -> Value:
    return w.product(w.x, w.of(Sigmoid(), w.line(1.0, w.x, 1.0)))


def another_cubic(w: Writer) -> Value:
    bent = w.plus(w.x, w.of(Power(3.0), w.x))
    return w.product(w.x, w.line(1.0, w.of(Tanh(), bent), 1.0))


def squared_gate(w: Writer) -> Value:
    gate = w.of(Sigmoid(), w.x)
    return w.product(w.x, w.product(gate, gate))


def another_sum(w: Writer) -> Value:
    return w.of(Log(), w.line(1.0, w.of(Exp(), w.x), 2.0))


def curved_choice(w: Writer) -> Value:
    return w.of(Choice(), w.of(Step(), w.x), w.product(w.x, w.x), w.x)


@pytest.mark.parametrize(
    "written", [other_halves, another_gate, another_cubic, squared_gate, another_sum, curved_choice]
)
def test_others_stay(written: Written) -> None:
    w = Writer(4)
    graph = w.graph(written(w))
    assert join_functions(graph) is graph


def test_long_chains_are_read_in_pieces() -> None:
    """A hundred scalings by numbers with many digits, and squares of squares."""
    w = Writer(2)
    value = w.x
    for k in range(100):
        value = w.line(1 / (3 + k), value, 0.1)
    for _ in range(5):
        value = w.product(value, value)
    graph = w.graph(value)
    found = simplify(graph)
    assert [node.op.kind for node in found.nodes[-5:]] == ["Power"] * 5
    same(found, graph, 2.0)


def test_softplus_twice_in_mish() -> None:
    """What one law has found, another one uses in the same pass."""
    w = Writer(2)
    graph = w.graph(w.product(w.x, w.of(Tanh(), w.of(Softplus(), w.x))))
    assert [node.op.kind for node in join_functions(graph).nodes][-1] == "Mish"


def test_scalings_of_different_numbers_stay() -> None:
    """Each element by its own number, and then all by one."""
    w = Writer(2)
    each = w.of(Scale(torch.tensor([2.0, 3.0], dtype=torch.float64), None), w.x)
    graph = w.graph(w.line(0.5, each))
    assert join_functions(graph) is graph
