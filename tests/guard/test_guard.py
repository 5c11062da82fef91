# SPDX-License-Identifier: Apache-2.0
"""A graph that is not the model proves nothing, and the node is named; one that is raises no alarm."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

import vnnverify
from vnnverify.deadline import Deadline
from vnnverify.engine.runner import make_context
from vnnverify.engine.schedule import sequence
from vnnverify.engine.strategy import decide
from vnnverify.guard import Disagreement, Guard
from vnnverify.guard.comparison import Comparison
from vnnverify.importer import Model
from vnnverify.ir import Graph, Op
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import LeakyRelu, Relu
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.steps import Ceil, Floor, Round, Trunc
from vnnverify.ops.sums import Sum
from vnnverify.query import Query

Make = Callable[..., Model]
Ask = Callable[..., Query]
Check = Callable[..., Guard]
node = helper.make_node


def replaced(graph: Graph, old: type[Op], new: Callable[[Op], Op]) -> Graph:
    """The graph with another operator in place of every one of that class."""
    changed = [dataclasses.replace(n, op=new(n.op)) if isinstance(n.op, old) else n for n in graph.nodes]
    assert any(a is not b for a, b in zip(changed, graph.nodes, strict=True))
    return graph.with_nodes(changed)


def one(kind: str, **attributes: object) -> list[object]:
    return [node(kind, ["x"], ["y"], name="it", **attributes)]


LINEAR = [node("Gemm", ["x", "w", "b"], ["y"], name="it")]
WEIGHTS = {"w": np.array([[1.0, -2.0], [0.5, 3.0]], np.float32), "b": np.array([0.25, -1.0], np.float32)}


def _scaled(op: Op) -> Op:
    assert isinstance(op, Linear)
    return dataclasses.replace(op, weight=op.weight * 1.0001)


def _unbiased(op: Op) -> Op:
    assert isinstance(op, Linear)
    return dataclasses.replace(op, bias=torch.zeros_like(op.bias))


def _transposed(op: Op) -> Op:
    assert isinstance(op, Linear)
    return dataclasses.replace(op, weight=op.weight.T.contiguous())


PLANTED = [
    pytest.param(one("Relu"), {}, Relu, lambda op: LeakyRelu(0.01), id="a leak"),
    pytest.param(one("Floor"), {}, Floor, lambda op: Trunc(), id="trunc for floor"),
    pytest.param(one("Floor"), {}, Floor, lambda op: Round(), id="round for floor"),
    pytest.param(one("Ceil"), {}, Ceil, lambda op: Floor(), id="floor for ceil"),
    pytest.param(one("Sigmoid"), {}, Sigmoid, lambda op: Tanh(), id="tanh for sigmoid"),
    pytest.param(one("Tanh"), {}, Tanh, lambda op: Sigmoid(), id="sigmoid for tanh"),
    pytest.param(LINEAR, WEIGHTS, Linear, _scaled, id="a weight off by 1e-4"),
    pytest.param(LINEAR, WEIGHTS, Linear, _unbiased, id="no bias"),
    pytest.param(LINEAR, WEIGHTS, Linear, _transposed, id="transposed"),
    pytest.param(
        [node("Abs", ["x"], ["a"], name="first"), node("Sub", ["a", "x"], ["y"], name="it")],
        {}, Sum, lambda op: Sum((1.0, 1.0)), id="plus for minus",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "old", "new"), PLANTED)
def test_planted_misreading_is_seen(
    nodes: list[object],
    constants: dict[str, np.ndarray],
    old: type[Op],
    new: Callable[[Op], Op],
    make_model: Make,
    ask: Ask,
    check: Check,
) -> None:
    model = make_model(nodes, 2, constants)
    about = ask(model, -3.0, 3.0)
    assert check(about).objection == ""
    said = check(about, replaced(about.graph, old, new)).objection
    assert said.startswith("the model was read differently from how onnxruntime runs it, at output")


def test_misreading_of_the_importer_is_named(
    make_model: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relu, "__call__", lambda self, *inputs: inputs[0].clamp(min=-0.5))
    nodes = [
        node("Gemm", ["x", "w", "b"], ["h"], name="dense"),
        node("Relu", ["h"], ["a"], name="act"),
        node("Gemm", ["a", "w", "b"], ["y"], name="last"),
    ]
    about = ask(make_model(nodes, 2, WEIGHTS), -3.0, 3.0)
    guard = Guard(about)
    guard.check()
    assert "at node 'act' (Relu): " in guard.objection
    assert "no proof counts. Please report this, with what `vnnverify slice` cuts out" in guard.objection


def test_no_verdict_of_a_misread_model(make_model: Make, ask: Ask) -> None:
    """A backend proves the property of a graph without its bias; the answer is `unknown`, at once."""
    about = ask(make_model(LINEAR, 2, WEIGHTS), -3.0, 3.0)
    wrong = dataclasses.replace(about, graph=replaced(about.graph, Linear, _unbiased))

    class Yes(vnnverify.Backend[vnnverify.NoOptions]):
        def verify(self, query: Query, ctx: vnnverify.Context) -> vnnverify.Outcome:
            return vnnverify.Outcome.unsat()

    steps = sequence(["yes"])
    result = decide(wrong, steps, {"yes": Yes()}, make_context(wrong, Deadline.never()))
    assert result.verdict is vnnverify.Verdict.UNKNOWN and result.final
    assert "read differently" in result.reason
    right = decide(about, steps, {"yes": Yes()}, make_context(about, Deadline.never()))
    assert right.verdict is vnnverify.Verdict.UNSAT


def test_refused_candidate_tells_a_misreading(make_model: Make, ask: Ask) -> None:
    about = ask(make_model(LINEAR, 2, WEIGHTS), -3.0, 3.0)
    x = torch.tensor([1.0, 2.0])
    assert not Guard(about).confirm(x)
    wrong = dataclasses.replace(about, graph=replaced(about.graph, Linear, _unbiased))
    with pytest.raises(Disagreement, match="read differently"):
        Guard(wrong).confirm(x)


@pytest.mark.parametrize("kind", ["Round", "Floor", "Ceil", "Sign"])
def test_step_within_rounding_of_its_jump_says_nothing(
    kind: str, make_model: Make, ask: Ask, check: Check
) -> None:
    """x / 10 · 10 rounds to either side of a whole number; the step then differs by one."""
    tenth = np.array([0.1], np.float32)
    nodes = [
        node("Mul", ["x", "c"], ["a"]),
        node("Sub", ["a", "d"], ["h"]),
        node("Mul", ["h", "ten"], ["s"]),
        node(kind, ["s"], ["y"]),
    ]
    constants = {
        "c": tenth,
        "d": np.array([0.1 * 3], np.float32) - (np.float32(0.05) if kind == "Round" else np.float32(0)),
        "ten": np.array([10.0], np.float32),
    }
    model = make_model(nodes, 1, constants)
    point = ask(model, 3.0, 3.0)
    for dx in (0.0, 1e-7, -1e-7, 3e-7, -3e-7):
        assert check(ask(model, 3.0 + dx, 3.0 + dx)).objection == ""
    assert check(point).objection == ""
    assert check(ask(model, 0.0, 5.0)).objection == ""


def test_step_at_an_exact_number_says_something(make_model: Make, ask: Ask, check: Check) -> None:
    """At 2.5 rounding to even and rounding up part: nothing before it is rounded, so it counts."""
    nodes = [node("Add", ["x", "c"], ["h"]), node("Round", ["h"], ["y"])]
    about = ask(make_model(nodes, 1, {"c": np.array([0.5], np.float32)}), 2.0, 2.0)
    assert check(about).objection == ""

    class Up(Round):
        def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
            return torch.floor(inputs[0] + 0.5)

    assert "read differently" in check(about, replaced(about.graph, Round, lambda op: Up())).objection


PAD_POOL = [
    node("Pad", ["x", "p"], ["h"], name="pad"),
    node("MaxPool", ["h"], ["y"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
]


def test_runtime_that_contradicts_itself(make_model: Make, ask: Ask, check: Check) -> None:
    """onnxruntime's optimiser takes the zeros of a Pad before a MaxPool for minus infinity."""
    pads = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)}
    model = make_model(PAD_POOL, 4, pads, shape=(1, 1, 2, 2))
    said = check(ask(model, -2.0, -1.0)).objection
    assert said.startswith("onnxruntime contradicts itself at node 'pool' (MaxPool): ")
    assert "by onnxruntime with graph optimisation off" in said
    assert check(ask(model, 1.0, 2.0)).objection == ""  # where it makes no difference


def test_witness_must_hold_with_and_without_optimisation(make_model: Make, ask: Ask) -> None:
    pads = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)}
    model = make_model(PAD_POOL, 4, pads, shape=(1, 1, 2, 2))
    x = torch.full((4,), -1.5)
    below = ask(model, -2.0, -1.0, "(assert (<= Y_0 -0.5))").source.replay(x)
    assert not below.valid
    assert "onnxruntime with graph optimisation off" in below.reason
    assert ask(model, -2.0, -1.0, "(assert (<= Y_0 0.5))").source.replay(x).valid


def test_overflow_of_the_runtime_leaves_it_open(make_model: Make, ask: Ask, check: Check) -> None:
    nodes = [
        node("Mul", ["x", "c"], ["h"], name="big"),
        node("Tanh", ["h"], ["t"]),
        node("Add", ["h", "t"], ["y"]),
    ]
    about = ask(make_model(nodes, 1, {"c": np.array([1e30], np.float32)}), 0.0, 1e10)
    guard = check(about)
    assert guard.objection == ""
    assert guard.reservation.startswith("onnxruntime's own arithmetic overflows at node 'big' (Mul) within")


@pytest.mark.parametrize("before, after", [("Reciprocal", "IsNaN"), ("Asin", "Hardmax")])
def test_numbers_left_inside_the_model_leave_it_open(
    before: str, after: str, make_model: Make, ask: Ask, check: Check
) -> None:
    """1/0 is infinite to a runtime, and of NaN it makes what it likes."""
    nodes = [node(before, ["x"], ["h"]), node(after, ["h"], ["t"]), node("Cast", ["t"], ["y"], to=1)]
    guard = check(ask(make_model(nodes, 4), -3.0, 3.0))
    assert guard.objection == ""
    assert "arithmetic leaves the finite numbers at" in guard.reservation


@pytest.mark.parametrize(
    "kind, constants, shape",
    [
        ("InstanceNormalization", ["one", "one"], (1, 1, 1)),
        ("InstanceNormalization", ["one", "one"], (1, 1, 3)),
        ("LayerNormalization", ["scale"], (1, 1, 3)),
    ],
)
def test_moments_of_large_numbers_raise_no_alarm(
    kind: str, constants: list[str], shape: tuple[int, ...], make_model: Make, ask: Ask, check: Check
) -> None:
    values = {"one": np.array([1.3], np.float32), "scale": np.array([1.0, -2.7, 0.3], np.float32)}
    model = make_model(
        [node(kind, ["x", *constants], ["y"])], 3, {key: values[key] for key in constants}, shape=shape
    )
    for radius in (0.01, 1.0, 30.0):
        assert check(ask(model, 130.1 - radius, 130.1 + radius)).objection == ""


def test_sum_that_one_order_adds_exactly_raises_no_alarm(make_model: Make, ask: Ask) -> None:
    numbers = [-79.2582, -59.8131, -92.1157, 187.1150, 158.8947, -114.7139]
    x = torch.tensor([numbers]).double()
    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=1),
        node("Abs", ["s"], ["a"]),
        node("Log", ["a"], ["y"]),
    ]
    model = make_model(nodes, 6)
    query = ask(model, -200.0, 200.0)
    for shift in range(32):
        found, _ = Comparison(model.graph, model.layout, [model]).at(
            x.roll(shift) + shift * 2.0**-16, query.source.judges
        )
        assert found is None


@pytest.mark.parametrize("size", [1, 7, 64])
def test_deep_network_raises_no_alarm(size: int, make_model: Make, ask: Ask, check: Check) -> None:
    rng = np.random.default_rng(size)
    constants, nodes, last = {}, [], "x"
    for k in range(12):
        constants[f"w{k}"] = (rng.standard_normal((size, size)) * 3 / np.sqrt(size)).astype(np.float32)
        nodes += [node("MatMul", [last, f"w{k}"], [f"h{k}"]), node("Tanh", [f"h{k}"], [f"a{k}"])]
        last = f"a{k}"
    nodes.append(node("Identity", [last], ["y"]))
    guard = check(ask(make_model(nodes, size, constants), -1.0, 1.0))
    assert guard.objection == "" and guard.reservation == ""
    assert guard.counts[0] >= 3


def test_cancellation_raises_no_alarm(make_model: Make, ask: Ask, check: Check) -> None:
    """(x + 1e6) − 1e6 is simplified to x; onnxruntime loses all but two digits."""
    nodes = [node("Add", ["x", "c"], ["h"]), node("Sub", ["h", "c"], ["y"])]
    guard = check(ask(make_model(nodes, 3, {"c": np.array([1e6], np.float32)}), -1.0, 1.0))
    assert guard.objection == ""


def test_half_precision_raises_no_alarm(make_model: Make, ask: Ask, check: Check) -> None:
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((32, 32)).astype(np.float16)}
    nodes = [
        node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        node("MatMul", ["h", "w"], ["g"]),
        node("MatMul", ["g", "w"], ["z"]),
        node("Cast", ["z"], ["y"], to=TensorProto.FLOAT),
    ]
    guard = check(ask(make_model(nodes, 32, constants), -1.0, 1.0))
    assert guard.objection == ""


def test_point_that_violates_the_property_is_a_witness(make_model: Make, ask: Ask) -> None:
    about = ask(make_model(one("Relu"), 1), -1.0, 1.0, "(assert (>= Y_0 0.5))")
    witness = Guard(about).check()
    assert witness is not None and witness.valid and witness.y[0] >= 0.5
