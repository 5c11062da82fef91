# SPDX-License-Identifier: Apache-2.0
"""Two copies of one network are ordered as their inputs are: decided without any margin."""

from __future__ import annotations

import pytest

import vnnverify

from .conftest import network

SECONDS = 20.0

PAIR = """(vnnlib-version <2.0>)
(declare-network f (declare-input X float32 [1,2]) (declare-output Y float32 [1,1]))
(declare-network g (equal-to f) (declare-input U float32 [1,2]) (declare-output V float32 [1,1]))
"""
ENDS = "".join(
    f"(assert (and (>= {name}[0,{k}] -1.0) (<= {name}[0,{k}] 1.0)))" for name in "XU" for k in range(2)
)
W, NEGATIVE = "float[2,2] w = {1, 0, 1, 1}", "float[2,2] w = {1, 0.5, -1, 1}"


@pytest.mark.parametrize(
    ("body", "constants", "about_inputs", "never", "twin"),
    [
        (
            "a = MatMul(x, w) b = Relu(a) y = MatMul(b, v)",
            W + ", float[2,1] v = {1, -0.5}",
            "(>= X[0,0] U[0,0]) (== X[0,1] U[0,1])",
            "<",
            "<=",
        ),
        (
            "a = MatMul(x, w) b = Relu(a) y = MatMul(b, v)",
            W + ", float[2,1] v = {1, 0.25}",
            "(>= X[0,0] U[0,0]) (>= X[0,1] U[0,1])",
            "<",
            "<=",
        ),
        (
            "a = MatMul(x, w) b = Sigmoid(a) y = MatMul(b, v)",
            W + ", float[2,1] v = {1, 0.25}",
            "(>= X[0,0] U[0,0]) (>= X[0,1] U[0,1])",
            "<",
            "<=",
        ),
        (
            "a = MatMul(x, w) b = Tanh(a) c = MatMul(b, w) d = Tanh(c) y = MatMul(d, v)",
            W + ", float[2,1] v = {-1, -0.25}",
            "(<= X[0,0] U[0,0]) (<= X[0,1] U[0,1])",
            "<",
            "<=",
        ),
        (
            "a = MatMul(x, w) y = ReduceMax<axes = [1]>(a)",
            W,
            "(>= X[0,0] U[0,0]) (>= X[0,1] U[0,1])",
            "<",
            "<=",
        ),
        (
            "a = MatMul(x, w) b = Relu(a) y = ReduceMean<axes = [1]>(b)",
            W,
            "(>= X[0,0] U[0,0]) (>= X[0,1] U[0,1])",
            "<",
            "<=",
        ),
        (
            "a = Relu(x) b = Sub(x, a) y = MatMul(b, v)",
            "float[2,1] v = {1, 0.25}",
            "(>= X[0,0] U[0,0]) (>= X[0,1] U[0,1])",
            "<",
            "<=",
        ),
        (
            "a = MatMul(x, w) b = Tanh(a) c = Relu(b) y = MatMul(c, v)",
            NEGATIVE + ", float[2,1] v = {1, -0.5}",
            "(== X[0,0] U[0,0]) (== X[0,1] U[0,1])",
            ">",
            ">=",
        ),
        (
            "a = MatMul(x, w) b = Tanh(a) c = Relu(b) y = MatMul(c, v)",
            NEGATIVE + ", float[2,1] v = {1, -0.5}",
            "(== X[0,0] U[0,0]) (== X[0,1] U[0,1])",
            "!=",
            "==",
        ),
    ],
)
def test_two_copies_are_ordered_as_their_inputs(
    body: str, constants: str, about_inputs: str, never: str, twin: str
) -> None:
    model = network(body, 2, 1, constants)
    text = PAIR + ENDS + "".join(f"(assert {a})" for a in (about_inputs.replace(") (", ")|(").split("|")))
    for operator, verdict in ((never, "unsat"), (twin, "sat")):
        asked = f"{text}(assert ({operator} Y[0,0] V[0,0]))"
        result = vnnverify.verify({"f": model}, asked, timeout=SECONDS, isolated=False)
        assert result.verdict.value == verdict, result.reason


@pytest.mark.parametrize("row", ["(>= X[0,1] U[0,1])", "(<= X[0,0] U[0,0])"])
def test_copies_that_are_not_ordered_are_satisfied(row: str) -> None:
    """A weight of the other sign, or an input ordered the other way."""
    model = network(
        "a = MatMul(x, w) b = Relu(a) y = MatMul(b, v)", 2, 1, NEGATIVE + ", float[2,1] v = {1, 0.25}"
    )
    equal = int("U[0,1]" not in row)
    text = f"{PAIR}{ENDS}(assert (== X[0,{equal}] U[0,{equal}]))(assert {row})"
    result = vnnverify.verify(
        {"f": model}, text + "(assert (< Y[0,0] V[0,0]))", timeout=SECONDS, isolated=False
    )
    assert result.verdict.value == "sat"
