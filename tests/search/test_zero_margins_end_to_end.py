# SPDX-License-Identifier: Apache-2.0
"""Properties without any margin are decided where exact arithmetic decides them, and the nearest ones that
hold stay satisfiable."""

from __future__ import annotations

from typing import Any

import pytest

import vnnverify

from .conftest import network

SECONDS = 20.0


def box(*ends: tuple[float, float]) -> str:
    """Bounds of X_0, X_1, …"""
    return "".join(f"(assert (>= X_{k} {a}))(assert (<= X_{k} {b}))" for k, (a, b) in enumerate(ends))


def prop(inputs: int, outputs: int, *assertions: str) -> str:
    names = [f"X_{k}" for k in range(inputs)] + [f"Y_{k}" for k in range(outputs)]
    declared = "".join(f"(declare-const {name} Real)" for name in names)
    return declared + "".join(a if a.startswith("(assert") else f"(assert {a})" for a in assertions)


Ends = tuple[tuple[float, float], ...]

UNIT, SIGNED = (0, 1), (-1, 1)
MIXED = "float[2,3] w = {1, -2, 0.5, 0.75, 1, -1.25}"
SUM = "float[2,2] w = {1, 1, 0.3, 0.7}"

CASES: dict[str, tuple[Any, ...]] = {
    "negated relu": (
        "a = Sub(x, c) b = Relu(a) y = Neg(b)", (SIGNED,), "(> Y_0 0)", "(>= Y_0 0)", 1, "float[1] c = {0.5}",
    ),
    "relu": ("a = MatMul(x, w) y = Relu(a)", (SIGNED, SIGNED), "(< Y_2 0)", "(<= Y_2 0)", 3, MIXED),
    "sum of relus": (
        "a = MatMul(x, w) b = Relu(a) y = ReduceSum(b, k)", (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)", 1,
        MIXED + ", int64[1] k = {1}",
    ),
    "weighted relus": (
        "a = MatMul(x, w) b = Relu(a) y = MatMul(b, v)", (SIGNED, SIGNED), "(> Y_0 0)", "(>= Y_0 -0.1)", 1,
        MIXED + ", float[3,1] v = {-0.1, -0.7, -0.3}",
    ),
    "greater": (
        "a = Greater(x, c) y = Cast<to = 1>(a)", (UNIT,), "(> Y_0 0)", "(<= Y_0 0)", 1, "float[1] c = {1}",
    ),
    "greater, whole step": (
        "a = Greater(x, c) y = Cast<to = 1>(a)", (UNIT,), "(>= Y_0 1)", "(>= Y_0 0)", 1, "float[1] c = {1}",
    ),
    "greater, beyond": (
        "a = Greater(x, c) y = Cast<to = 1>(a)", ((0, 0.3),), "(>= Y_0 0.5)", "(<= Y_0 0.5)", 1,
        "float[1] c = {0.30000001192092896}",
    ),
    "clip above": (
        "a = Mul(x, c) y = Clip(a, l, h)", ((0, 9),), "(> Y_0 6)", "(>= Y_0 6)", 1,
        "float[1] c = {3}, float l = {0}, float h = {6}",
    ),
    "clip below": (
        "a = Mul(x, c) y = Clip(a, l, h)", ((-9, 9),), "(< Y_0 0.1)", "(<= Y_0 0.10001)", 1,
        "float[1] c = {3}, float l = {0.100000001490116}, float h = {6}",
    ),
    "sigmoid": ("y = Sigmoid(x)", ((-99, 99),), "(> Y_0 1)", "(>= Y_0 0.9)"),
    "sigmoid below": ("y = Sigmoid(x)", ((-99, 99),), "(< Y_0 0)", "(<= Y_0 0.1)"),
    "tanh": ("a = Tanh(x) y = Mul(a, c)", ((-99, 99),), "(> Y_0 2)", "(>= Y_0 1.9)", 1, "float[1] c = {2}"),
    "euclidean norm": (
        "a = ReduceL2<axes = [1]>(x) b = Sub(a, c) d = Relu(b) y = Neg(d)", (SIGNED, SIGNED), "(> Y_0 0)",
        "(>= Y_0 0)", 1, "float[1] c = {1}",
    ),
    "euclidean norm, far": (
        "a = ReduceL2<axes = [1]>(x) b = Sub(a, c) d = Relu(b) y = Neg(d)", (SIGNED, SIGNED),
        "(>= Y_0 0.000001)", "(>= Y_0 -0.000001)", 1, "float[1] c = {1}",
    ),
    "length": (
        "a = Mul(x, x) b = ReduceSum(a, k) y = Sqrt(b)", (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)", 1,
        "int64[1] k = {1}",
    ),
    "sum of sizes": ("y = ReduceL1<axes = [1]>(x)", (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)"),
    "sum of squares": ("y = ReduceSumSquare<axes = [1]>(x)", (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)"),
    "squared difference": (
        "a = MatMul(x, w) y = Mul(a, a)", (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)", 1,
        "float[2,1] w = {1, -1}",
    ),
    "standard deviation": (
        "m = ReduceMean<axes = [1]>(x) a = Sub(x, m) b = Mul(a, a) v = ReduceMean<axes = [1]>(b) y = Sqrt(v)",
        (SIGNED, SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)",
    ),
    "log of a sum": (
        "a = ReduceLogSumExp<axes = [1]>(x) b = ReduceMax<axes = [1]>(x) y = Sub(a, b)", ((-9, 9), (-9, 9)),
        "(< Y_0 0)", "(<= Y_0 0.1)",
    ),
    "relu and its argument": (
        "a = Relu(x) y = Concat<axis = 1>(a, x)", (SIGNED,), "(< Y_0 Y_1)", "(<= Y_0 Y_1)", 2,
    ),
    "relu of a sum and the sum": (
        "a = MatMul(x, w) b = Relu(a) y = Concat<axis = 1>(a, b)", (SIGNED, SIGNED), "(> Y_1 Y_3)",
        "(>= Y_1 Y_3)", 4, SUM,
    ),
    "size and number": ("a = Abs(x) y = Sub(a, x)", (SIGNED,), "(< Y_0 0)", "(<= Y_0 0)"),
    "leaky relu and its argument": (
        "a = LeakyRelu<alpha = 0.1>(x) y = Sub(a, x)", (SIGNED,), "(< Y_0 0)", "(<= Y_0 0)",
    ),
    "leaky relu from zero": ("y = LeakyRelu<alpha = 0.1>(x)", (UNIT,), "(< Y_0 0)", "(<= Y_0 0)"),
    "largest and smallest": (
        "a = Slice(x, p, q, k) b = Slice(x, q, r, k) c = Max(a, b) d = Min(a, b) y = Sub(c, d)",
        (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)", 1,
        "int64[1] p = {0}, int64[1] q = {1}, int64[1] r = {2}, int64[1] k = {1}",
    ),
    "smallest and a member": (
        "a = ReduceMin<axes = [1]>(x) y = Concat<axis = 1>(a, x)", (SIGNED, SIGNED, SIGNED), "(> Y_0 Y_2)",
        "(>= Y_0 Y_2)", 4,
    ),
    "largest and average": (
        "a = ReduceMax<axes = [1]>(x) b = ReduceMean<axes = [1]>(x) y = Sub(a, b)", (SIGNED,) * 4,
        "(< Y_0 0)", "(<= Y_0 0)",
    ),
    "a number less itself": ("y = Sub(x, x)", (SIGNED,), "(> Y_0 0)", "(>= Y_0 0)"),
    "the same branch twice": (
        "a = MatMul(x, w) b = Relu(a) c = MatMul(x, w) d = Relu(c) y = Sub(b, d)", (SIGNED, SIGNED),
        "(> Y_1 0)", "(>= Y_1 0)", 3, MIXED,
    ),
    "shifted argument": (
        "a = Tanh(x) b = Add(x, c) d = Tanh(b) y = Sub(d, a)", ((-99, 99),), "(< Y_0 0)", "(<= Y_0 0.1)", 1,
        "float[1] c = {1}",
    ),
    "softmax in order": (
        "y = Softmax<axis = 1>(x)", ((1, 2), (0, 1), (-1, 9)), "(< Y_0 Y_1)", "(<= Y_0 Y_1)", 3,
    ),
    "log softmax in order": (
        "y = LogSoftmax<axis = 1>(x)", ((1, 2), (0, 1), (-1, 9)), "(< Y_0 Y_1)", "(<= Y_0 Y_1)", 3,
    ),
    "floor": ("a = Floor(x) y = Sub(a, x)", ((-3, 3),), "(> Y_0 0)", "(>= Y_0 0)"),
    "step beyond a plateau": (
        "a = MatMul(x, w) b = Greater(a, c) y = Cast<to = 1>(b)", (UNIT, UNIT), "(>= Y_0 0.5)",
        "(<= Y_0 0.5)", 1, "float[2,1] w = {0.1, 0.7}, float[1] c = {0.800000011920929}",
    ),
    "plateau": (
        "a = MatMul(x, w) b = Sub(a, c) y = Relu(b)", (UNIT, UNIT), "(> Y_0 0)", "(>= Y_0 0)", 1,
        "float[2,1] w = {1, 1}, float[1] c = {2}",
    ),
    "logarithm of a sum of exponentials": (
        "a = Exp(x) b = ReduceSum(a, k) c = Log(b) d = ReduceMax<axes = [1]>(x) y = Sub(c, d)",
        ((-3, 3), (-3, 3), (-3, 3)), "(< Y_0 0)", "(<= Y_0 0.1)", 1, "int64[1] k = {1}",
    ),
    "sizes of a sum": (
        "a = Abs(x) b = ReduceSum(a, k) c = ReduceSum(x, k) d = Abs(c) y = Sub(b, d)",
        (SIGNED, SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)", 1, "int64[1] k = {1}",
    ),
    "size from two relus": (
        "n = Neg(x) a = Relu(x) b = Relu(n) c = Add(a, b) d = Abs(x) y = Sub(c, d)", (SIGNED,), "(> Y_0 0)",
        "(>= Y_0 0)",
    ),
    "sum of two relus": (
        "y = Relu(x)", (SIGNED, SIGNED), "(and (<= (+ Y_0 Y_1) 0) (> Y_0 0))", "(<= (+ Y_0 Y_1) 0)", 2,
    ),
}  # fmt: skip
"""Name -> nodes, box, assertions that nothing satisfies, assertions of a twin that something does; then, if
there is more than one, the outputs, and constants."""


def verified(
    body: str, ends: Ends, never: str, twin: str, m: int = 1, constants: str = "", *, violated: bool
) -> vnnverify.Result:
    model, asked = network(body, len(ends), m, constants), twin if violated else never
    return vnnverify.verify(model, prop(len(ends), m, box(*ends), asked), timeout=SECONDS, isolated=False)


@pytest.mark.parametrize("name", CASES)
def test_nothing_satisfies_what_is_short_of_it_by_nothing(name: str) -> None:
    result = verified(*CASES[name], violated=False)
    assert result.verdict.value == "unsat", result.reason


@pytest.mark.parametrize("name", CASES)
def test_the_twin_is_satisfied(name: str) -> None:
    result = verified(*CASES[name], violated=True)
    assert result.verdict.value == "sat", result.reason
