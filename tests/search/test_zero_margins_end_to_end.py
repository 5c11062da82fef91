# SPDX-License-Identifier: Apache-2.0
"""Properties without any margin are decided where exact arithmetic decides them, and the nearest ones that
hold stay satisfiable."""

from __future__ import annotations

import onnx
import pytest

import vnnverify

SECONDS = 20.0


def network(body: str, inputs: int, outputs: int, constants: str = "", opset: int = 17) -> onnx.ModelProto:
    """A model from x (1, inputs) to y (1, outputs)."""
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]>\n'
        f"g (float[1,{inputs}] x) => (float[1,{outputs}] y) <{constants}> {{ {body} }}"
    )


def box(*ends: tuple[float, float]) -> str:
    """Bounds of X_0, X_1, …"""
    return "".join(f"(assert (>= X_{k} {a}))(assert (<= X_{k} {b}))" for k, (a, b) in enumerate(ends))


def prop(inputs: int, outputs: int, *assertions: str) -> str:
    names = [f"X_{k}" for k in range(inputs)] + [f"Y_{k}" for k in range(outputs)]
    declared = "".join(f"(declare-const {name} Real)" for name in names)
    return declared + "".join(a if a.startswith("(assert") else f"(assert {a})" for a in assertions)


UNIT, SIGNED = (0, 1), (-1, 1)
MIXED = "float[2,3] w = {1, -2, 0.5, 0.75, 1, -1.25}"
SUM = "float[2,2] w = {1, 1, 0.3, 0.7}"

CASES: dict[str, tuple[onnx.ModelProto, str, str, str]] = {}
"""Name -> model, box, assertions that nothing satisfies, assertions of a twin that something does."""


def case(
    name: str,
    body: str,
    ends: tuple[tuple[float, float], ...],
    never: str,
    twin: str,
    m: int = 1,
    constants: str = "",
) -> None:
    model = network(body, len(ends), m, constants)
    CASES[name] = model, box(*ends), never, twin


case(
    "negated relu",
    "a = Sub(x, c) b = Relu(a) y = Neg(b)",
    (SIGNED,),
    "(> Y_0 0)",
    "(>= Y_0 0)",
    constants="float[1] c = {0.5}",
)
case("relu", "a = MatMul(x, w) y = Relu(a)", (SIGNED, SIGNED), "(< Y_2 0)", "(<= Y_2 0)", 3, MIXED)
case(
    "sum of relus",
    "a = MatMul(x, w) b = Relu(a) y = ReduceSum(b, k)",
    (SIGNED, SIGNED),
    "(< Y_0 0)",
    "(<= Y_0 0)",
    1,
    MIXED + ", int64[1] k = {1}",
)
case(
    "weighted relus",
    "a = MatMul(x, w) b = Relu(a) y = MatMul(b, v)",
    (SIGNED, SIGNED),
    "(> Y_0 0)",
    "(>= Y_0 -0.1)",
    1,
    MIXED + ", float[3,1] v = {-0.1, -0.7, -0.3}",
)
case(
    "greater",
    "a = Greater(x, c) y = Cast<to = 1>(a)",
    (UNIT,),
    "(> Y_0 0)",
    "(<= Y_0 0)",
    1,
    "float[1] c = {1}",
)
case(
    "greater, whole step",
    "a = Greater(x, c) y = Cast<to = 1>(a)",
    (UNIT,),
    "(>= Y_0 1)",
    "(>= Y_0 0)",
    1,
    "float[1] c = {1}",
)
case(
    "greater, beyond",
    "a = Greater(x, c) y = Cast<to = 1>(a)",
    ((0, 0.3),),
    "(>= Y_0 0.5)",
    "(<= Y_0 0.5)",
    1,
    "float[1] c = {0.30000001192092896}",
)
case(
    "clip above",
    "a = Mul(x, c) y = Clip(a, l, h)",
    ((0, 9),),
    "(> Y_0 6)",
    "(>= Y_0 6)",
    1,
    "float[1] c = {3}, float l = {0}, float h = {6}",
)
case(
    "clip below",
    "a = Mul(x, c) y = Clip(a, l, h)",
    ((-9, 9),),
    "(< Y_0 0.1)",
    "(<= Y_0 0.10001)",
    1,
    "float[1] c = {3}, float l = {0.100000001490116}, float h = {6}",
)
case("sigmoid", "y = Sigmoid(x)", ((-99, 99),), "(> Y_0 1)", "(>= Y_0 0.9)")
case("sigmoid below", "y = Sigmoid(x)", ((-99, 99),), "(< Y_0 0)", "(<= Y_0 0.1)")
case("tanh", "a = Tanh(x) y = Mul(a, c)", ((-99, 99),), "(> Y_0 2)", "(>= Y_0 1.9)", 1, "float[1] c = {2}")
case(
    "euclidean norm",
    "a = ReduceL2<axes = [1]>(x) b = Sub(a, c) d = Relu(b) y = Neg(d)",
    (SIGNED, SIGNED),
    "(> Y_0 0)",
    "(>= Y_0 0)",
    1,
    "float[1] c = {1}",
)
case(
    "euclidean norm, far",
    "a = ReduceL2<axes = [1]>(x) b = Sub(a, c) d = Relu(b) y = Neg(d)",
    (SIGNED, SIGNED),
    "(>= Y_0 0.000001)",
    "(>= Y_0 -0.000001)",
    1,
    "float[1] c = {1}",
)
case(
    "length",
    "a = Mul(x, x) b = ReduceSum(a, k) y = Sqrt(b)",
    (SIGNED, SIGNED),
    "(< Y_0 0)",
    "(<= Y_0 0)",
    1,
    "int64[1] k = {1}",
)
case("sum of sizes", "y = ReduceL1<axes = [1]>(x)", (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)")
case("sum of squares", "y = ReduceSumSquare<axes = [1]>(x)", (SIGNED, SIGNED), "(< Y_0 0)", "(<= Y_0 0)")
case(
    "squared difference",
    "a = MatMul(x, w) y = Mul(a, a)",
    (SIGNED, SIGNED),
    "(< Y_0 0)",
    "(<= Y_0 0)",
    1,
    "float[2,1] w = {1, -1}",
)
case(
    "standard deviation",
    "m = ReduceMean<axes = [1]>(x) a = Sub(x, m) b = Mul(a, a) v = ReduceMean<axes = [1]>(b) y = Sqrt(v)",
    (SIGNED, SIGNED, SIGNED),
    "(< Y_0 0)",
    "(<= Y_0 0)",
)
case(
    "log of a sum",
    "a = ReduceLogSumExp<axes = [1]>(x) b = ReduceMax<axes = [1]>(x) y = Sub(a, b)",
    ((-9, 9), (-9, 9)),
    "(< Y_0 0)",
    "(<= Y_0 0.1)",
)
case(
    "relu and its argument",
    "a = Relu(x) y = Concat<axis = 1>(a, x)",
    (SIGNED,),
    "(< Y_0 Y_1)",
    "(<= Y_0 Y_1)",
    2,
)
case(
    "relu of a sum and the sum",
    "a = MatMul(x, w) b = Relu(a) y = Concat<axis = 1>(a, b)",
    (SIGNED, SIGNED),
    "(> Y_1 Y_3)",
    "(>= Y_1 Y_3)",
    4,
    SUM,
)
case("size and number", "a = Abs(x) y = Sub(a, x)", (SIGNED,), "(< Y_0 0)", "(<= Y_0 0)")
case(
    "leaky relu and its argument",
    "a = LeakyRelu<alpha = 0.1>(x) y = Sub(a, x)",
    (SIGNED,),
    "(< Y_0 0)",
    "(<= Y_0 0)",
)
case("leaky relu from zero", "y = LeakyRelu<alpha = 0.1>(x)", (UNIT,), "(< Y_0 0)", "(<= Y_0 0)")
case(
    "largest and smallest",
    "a = Slice(x, p, q, k) b = Slice(x, q, r, k) c = Max(a, b) d = Min(a, b) y = Sub(c, d)",
    (SIGNED, SIGNED),
    "(< Y_0 0)",
    "(<= Y_0 0)",
    1,
    "int64[1] p = {0}, int64[1] q = {1}, int64[1] r = {2}, int64[1] k = {1}",
)
case(
    "smallest and a member",
    "a = ReduceMin<axes = [1]>(x) y = Concat<axis = 1>(a, x)",
    (SIGNED, SIGNED, SIGNED),
    "(> Y_0 Y_2)",
    "(>= Y_0 Y_2)",
    4,
)
case(
    "largest and average",
    "a = ReduceMax<axes = [1]>(x) b = ReduceMean<axes = [1]>(x) y = Sub(a, b)",
    (SIGNED,) * 4,
    "(< Y_0 0)",
    "(<= Y_0 0)",
)
case("a number less itself", "y = Sub(x, x)", (SIGNED,), "(> Y_0 0)", "(>= Y_0 0)")
case(
    "the same branch twice",
    "a = MatMul(x, w) b = Relu(a) c = MatMul(x, w) d = Relu(c) y = Sub(b, d)",
    (SIGNED, SIGNED),
    "(> Y_1 0)",
    "(>= Y_1 0)",
    3,
    MIXED,
)
case(
    "shifted argument",
    "a = Tanh(x) b = Add(x, c) d = Tanh(b) y = Sub(d, a)",
    ((-99, 99),),
    "(< Y_0 0)",
    "(<= Y_0 0.1)",
    1,
    "float[1] c = {1}",
)
case(
    "softmax in order",
    "y = Softmax<axis = 1>(x)",
    ((1, 2), (0, 1), (-1, 9)),
    "(< Y_0 Y_1)",
    "(<= Y_0 Y_1)",
    3,
)
case(
    "log softmax in order",
    "y = LogSoftmax<axis = 1>(x)",
    ((1, 2), (0, 1), (-1, 9)),
    "(< Y_0 Y_1)",
    "(<= Y_0 Y_1)",
    3,
)
case("floor", "a = Floor(x) y = Sub(a, x)", ((-3, 3),), "(> Y_0 0)", "(>= Y_0 0)")
case(
    "step beyond a plateau",
    "a = MatMul(x, w) b = Greater(a, c) y = Cast<to = 1>(b)",
    (UNIT, UNIT),
    "(>= Y_0 0.5)",
    "(<= Y_0 0.5)",
    1,
    "float[2,1] w = {0.1, 0.7}, float[1] c = {0.800000011920929}",
)
case(
    "plateau",
    "a = MatMul(x, w) b = Sub(a, c) y = Relu(b)",
    (UNIT, UNIT),
    "(> Y_0 0)",
    "(>= Y_0 0)",
    1,
    "float[2,1] w = {1, 1}, float[1] c = {2}",
)
case(
    "logarithm of a sum of exponentials",
    "a = Exp(x) b = ReduceSum(a, k) c = Log(b) d = ReduceMax<axes = [1]>(x) y = Sub(c, d)",
    ((-3, 3), (-3, 3), (-3, 3)),
    "(< Y_0 0)",
    "(<= Y_0 0.1)",
    1,
    "int64[1] k = {1}",
)
case(
    "sizes of a sum",
    "a = Abs(x) b = ReduceSum(a, k) c = ReduceSum(x, k) d = Abs(c) y = Sub(b, d)",
    (SIGNED, SIGNED, SIGNED),
    "(< Y_0 0)",
    "(<= Y_0 0)",
    1,
    "int64[1] k = {1}",
)
case(
    "size from two relus",
    "n = Neg(x) a = Relu(x) b = Relu(n) c = Add(a, b) d = Abs(x) y = Sub(c, d)",
    (SIGNED,),
    "(> Y_0 0)",
    "(>= Y_0 0)",
)
case(
    "sum of two relus",
    "y = Relu(x)",
    (SIGNED, SIGNED),
    "(and (<= (+ Y_0 Y_1) 0) (> Y_0 0))",
    "(<= (+ Y_0 Y_1) 0)",
    2,
)


@pytest.mark.parametrize("name", CASES)
def test_nothing_satisfies_what_is_short_of_it_by_nothing(name: str) -> None:
    model, ends, never, _ = CASES[name]
    n, m = (v.type.tensor_type.shape.dim[1].dim_value for v in (model.graph.input[0], model.graph.output[0]))
    result = vnnverify.verify(model, prop(n, m, ends, never), timeout=SECONDS, isolated=False)
    assert result.verdict.value == "unsat", result.reason


@pytest.mark.parametrize("name", CASES)
def test_the_twin_is_satisfied(name: str) -> None:
    model, ends, _, twin = CASES[name]
    n, m = (v.type.tensor_type.shape.dim[1].dim_value for v in (model.graph.input[0], model.graph.output[0]))
    result = vnnverify.verify(model, prop(n, m, ends, twin), timeout=SECONDS, isolated=False)
    assert result.verdict.value == "sat", result.reason


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
