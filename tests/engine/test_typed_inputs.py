# SPDX-License-Identifier: Apache-2.0
"""Answers about inputs that hold some numbers only, against the model run at every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify import Backend, Deadline, Verdict
from vnnverify.engine.answer import Answer
from vnnverify.engine.backends import load_backends
from vnnverify.engine.runner import make_context
from vnnverify.engine.schedule import automatic
from vnnverify.engine.strategy import decide
from vnnverify.importer import Model, read_model
from vnnverify.importer.sessions import OnnxRunner
from vnnverify.loading.loader import build_query
from vnnverify.plugin.manager import load_plugins
from vnnverify.vnnlib import parse_property

FLOAT = TensorProto.FLOAT
NAMES = ("falsification", "enumeration", "zonotope", "bound_propagation", "milp")


def model(kind: int, weights: Sequence[np.ndarray], whole: int, real: int = 0) -> Model:
    """A ReLU network of `whole` inputs of this type beside `real` ones of float32."""
    nodes = [helper.make_node("Cast", ["w"], ["c"], to=FLOAT)]
    inputs = [helper.make_tensor_value_info("w", kind, [1, whole])]
    last = "c"
    if real:
        inputs.append(helper.make_tensor_value_info("r", FLOAT, [1, real]))
        nodes.append(helper.make_node("Concat", ["c", "r"], ["joined"], axis=1))
        last = "joined"
    constants = []
    for k, weight in enumerate(weights):
        constants.append(numpy_helper.from_array(weight.astype(np.float32), f"W{k}"))
        nodes.append(helper.make_node("MatMul", [last, f"W{k}"], [f"h{k}"]))
        if k + 1 < len(weights):
            nodes.append(helper.make_node("Relu", [f"h{k}"], [f"a{k}"]))
        last = f"a{k}"
    nodes[-1].output[0] = "y"
    outputs = [helper.make_tensor_value_info("y", FLOAT, [1, 1])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return read_model(made.SerializeToString())


def shifted(kind: int, constant: float) -> Model:
    """y = x − constant in this type."""
    c = numpy_helper.from_array(np.array([[constant]], helper.tensor_dtype_to_np_dtype(kind)), "c")
    x, y = (helper.make_tensor_value_info(name, kind, [1, 1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Sub", ["x", "c"], ["y"])], "g", [x], [y], [c])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return read_model(made.SerializeToString())


def answer(
    found: Model, bounds: Sequence[tuple[str, str]], unsafe: str, *names: str, seconds: float = 20.0
) -> Answer:
    text = "".join(f"(declare-const X_{k} Real)" for k in range(len(bounds))) + "(declare-const Y_0 Real)"
    for k, (low, high) in enumerate(bounds):
        text += f"(assert (>= X_{k} {low}))(assert (<= X_{k} {high}))"
    query = build_query(found, parse_property(f"{text}(assert {unsafe})"))
    plugins = load_plugins()
    schedule = automatic(query, [plugins.backends[name] for name in names or NAMES])
    backends: dict[str, Backend[object]] = load_backends(plugins, names or NAMES, {})
    return decide(query, schedule, backends, make_context(query, Deadline.after(seconds)))


@pytest.mark.parametrize(
    ("kind", "low", "high", "unsafe", "verdict"),
    [
        (TensorProto.UINT8, "256", "300", "(>= Y_0 -9)", Verdict.UNSAT),
        (TensorProto.UINT8, "250", "300", "(>= Y_0 255.5)", Verdict.UNSAT),
        (TensorProto.UINT8, "250", "300", "(<= Y_0 249.5)", Verdict.UNSAT),
        (TensorProto.UINT8, "250", "300", "(>= Y_0 255)", Verdict.SAT),
        (TensorProto.INT8, "-300", "-129", "(>= Y_0 -1000)", Verdict.UNSAT),
        (TensorProto.BOOL, "-3", "9", "(and (>= Y_0 0.1) (<= Y_0 0.9))", Verdict.UNSAT),
        (TensorProto.BOOL, "-3", "9", "(>= Y_0 1)", Verdict.SAT),
        (TensorProto.BFLOAT16, "256.5", "257.5", "(<= Y_0 256)", Verdict.UNSAT),
        (TensorProto.BFLOAT16, "256.5", "259", "(>= Y_0 257)", Verdict.SAT),
        (TensorProto.INT64, "0.2", "0.8", "(>= Y_0 -9)", Verdict.UNSAT),
        (TensorProto.INT64, "-1000000", "1000000", "(and (>= Y_0 7.1) (<= Y_0 7.9))", Verdict.UNSAT),
        (TensorProto.INT64, "-1000000", "1000000", "(and (>= Y_0 7.1) (<= Y_0 8.1))", Verdict.SAT),
    ],
)
def test_no_number_but_those_of_the_type(
    kind: int, low: str, high: str, unsafe: str, verdict: Verdict
) -> None:
    identity = model(kind, [np.ones((1, 1))], whole=1)
    result = answer(identity, [(low, high)], unsafe)
    assert result.verdict is verdict, result.reason


def gaps(whole: int, real: int, kind: int, seed: int) -> Model:
    """Σ |w_k| and a small function of the other inputs."""
    rng = np.random.default_rng(seed)
    wide = np.zeros((whole + real, 2 * whole + 6))
    wide[:whole, : 2 * whole : 2], wide[:whole, 1 : 2 * whole : 2] = 2 * np.eye(whole), -2 * np.eye(whole)
    wide[whole:, 2 * whole :] = rng.integers(-8, 9, (real, 6)) / 8
    last = np.concatenate([np.full(2 * whole, 0.5), rng.integers(-1, 2, 6) / 64])[:, None]
    return model(kind, [wide, last], whole, real)


@pytest.mark.parametrize(
    ("whole", "real", "kind", "names"),
    [
        (1, 1, TensorProto.INT32, ()),
        (2, 18, TensorProto.INT16, ()),  # too many to halve the box: a clause for each of them
        (3, 1, TensorProto.UINT8, ("zonotope",)),
        (8, 17, TensorProto.BOOL, ("milp",)),
    ],
)
def test_whole_numbers_beside_real_inputs(whole: int, real: int, kind: int, names: tuple[str, ...]) -> None:
    """y = Σ |w_k| + ε, where some w_k is 1 at least: y >= 0.9, and 0 between."""
    found = gaps(whole, real, kind, seed=whole)
    high = 1 if kind == TensorProto.BOOL else 60
    bounds = [("0.5", "1.5")] + [("0", str(high))] * (whole - 1) + [("-0.25", "0.25")] * real
    assert answer(found, bounds, "(<= Y_0 0.75)", *names).verdict is Verdict.UNSAT
    result = answer(found, bounds, "(<= Y_0 1.25)", *names, "falsification")
    assert result.verdict is Verdict.SAT and result.witness is not None
    assert all(v == int(v) for v in result.witness.x[:whole])


@pytest.mark.parametrize("seed", range(6))
def test_against_the_model_at_every_input(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind, low, high = [
        (TensorProto.UINT8, -2, 4),
        (TensorProto.INT8, -3, 3),
        (TensorProto.BOOL, -1, 5),
        (TensorProto.INT64, -2, 2),
        (TensorProto.INT32, 0, 5),
        (TensorProto.UINT64, -1, 3),
    ][seed]
    weights = [rng.integers(-4, 5, shape) / 4 for shape in ((3, 8), (8, 4), (4, 1))]
    found = model(kind, weights, whole=3)
    least = 0 if kind in (TensorProto.UINT8, TensorProto.BOOL, TensorProto.UINT64) else low
    most = 1 if kind == TensorProto.BOOL else high
    run = OnnxRunner(found.data, found.layout)
    values = sorted({run(x)[0] for x in product(range(least, most + 1), repeat=3)})
    bounds = [(f"{low}.0", f"{high}.0")] * 3
    widest = int(np.argmax(np.diff(values)))
    a, b = values[widest], values[widest + 1]
    third = (b - a) / 3
    inside = f"(and (>= Y_0 {a + third}) (<= Y_0 {b - third}))"
    assert answer(found, bounds, inside).verdict is Verdict.UNSAT
    assert answer(found, bounds, inside, "zonotope", "bound_propagation").verdict is Verdict.UNSAT
    for value in (values[0], values[-1], a):
        result = answer(found, bounds, f"(and (>= Y_0 {value - 0.01}) (<= Y_0 {value + 0.01}))")
        assert result.verdict is Verdict.SAT and result.witness is not None
        assert all(v in range(least, most + 1) for v in result.witness.x)


@pytest.mark.parametrize(
    ("kind", "constant", "low", "high", "unsafe", "verdict"),
    [
        (FLOAT, 16777216, "16777217", "16777217", "(<= Y_0 0.5)", Verdict.UNSAT),
        (FLOAT, 16777216, "16777216.5", "16777217.5", "(<= Y_0 0.4)", Verdict.UNSAT),
        (FLOAT, 16777216, "16777216.5", "16777217.5", "(<= Y_0 0.6)", Verdict.UNKNOWN),
        (FLOAT, 16777216, "16777217", "16777217", "(>= Y_0 0.5)", Verdict.UNKNOWN),  # y is 0 at what is read
        (FLOAT, 16777216, "16777219", "16777219", "(>= Y_0 2.5)", Verdict.SAT),  # 3, and 4 at what is read
        (FLOAT, 0, "0.1", "0.1", "(>= Y_0 0.05)", Verdict.SAT),
        (FLOAT, 0, "0.1", "0.1", "(>= Y_0 0.1000000005)", Verdict.UNSAT),
        (TensorProto.FLOAT16, 2048, "2049", "2049", "(<= Y_0 0.5)", Verdict.UNSAT),
        (TensorProto.FLOAT16, 0, "0.09998", "0.1", "(>= Y_0 0.1001)", Verdict.UNSAT),
        (TensorProto.FLOAT16, 0, "0.09998", "0.1", "(>= Y_0 0)", Verdict.UNKNOWN),
        (TensorProto.DOUBLE, 0, "16777217", "16777217", "(>= Y_0 16777217)", Verdict.SAT),
        (TensorProto.DOUBLE, 16777216, "16777217", "16777217", "(<= Y_0 0.5)", Verdict.UNSAT),
    ],
)
def test_no_number_stands_for_another(
    kind: int, constant: float, low: str, high: str, unsafe: str, verdict: Verdict
) -> None:
    seconds = 2.0 if verdict is Verdict.UNKNOWN else 20.0
    result = answer(shifted(kind, constant), [(low, high)], unsafe, seconds=seconds)
    assert result.verdict is verdict, result.reason
    if verdict is Verdict.UNKNOWN:
        assert result.reason.startswith("no input of the model is a counterexample, though some real number")


def test_no_box_is_attacked_in_vain() -> None:
    result = answer(shifted(FLOAT, 0), [("16777216.5", "16777217.5")], "(>= Y_0 0)", "falsification")
    assert result.verdict is Verdict.UNKNOWN and result.seconds < 5
    assert "no float32 lies between the bounds of X_0" in result.reason


def test_a_point_outside_a_type_is_run_at_its_nearest_number() -> None:
    found = model(TensorProto.UINT8, [np.ones((1, 1))], whole=1)
    text = "(declare-const X_0 Real)(declare-const Y_0 Real)"
    text += "(assert (>= X_0 0))(assert (<= X_0 9))(assert (>= Y_0 0))"
    query = build_query(found, parse_property(text))
    assert query.source.outputs(torch.tensor([260.0], dtype=torch.float64)) == (255.0,)
    assert query.source.outputs(torch.tensor([-4.0], dtype=torch.float64)) == (0.0,)
    assert query.source.replay(torch.tensor([260.0], dtype=torch.float64)).x == (9.0,)
