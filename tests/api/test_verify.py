# SPDX-License-Identifier: Apache-2.0
"""Verification from Python: what may be given, what comes back, and that nothing is left running."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
import torch

import vnnverify
from vnnverify import Progress, Property, Result, Verdict
from vnnverify.errors import FileError, ModelError, OptionError, SpecError
from vnnverify.results.jsonl import read_report

ROOT = Path(__file__).parents[2]
TINY = ROOT / "models_onnx" / "tiny.onnx"
SPECS = ROOT / "specs"
SAT = SPECS / "tiny_sat.vnnlib"
HARD = (ROOT / "models_onnx" / "controller.onnx", SPECS / "controller_hard.vnnlib")
QUICK: dict[str, Any] = {
    "timeout": 60.0,
    "device": "cpu",
    "isolated": False,
    "backend": "zonotope",
}


def workers() -> list[int]:
    """The worker processes of this one that are alive."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "vnnverify.process.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child.pid)
    return found


@pytest.mark.parametrize(
    "model",
    [str(TINY), TINY, TINY.read_bytes(), onnx.load(TINY)],
    ids=["text", "path", "bytes", "proto"],
)
def test_models_of_every_kind(model: Any) -> None:
    result = vnnverify.verify(model, SPECS / "tiny_unsat.vnnlib", **QUICK)
    assert (result.verdict, result.holds, result.witness) == (Verdict.UNSAT, True, None)
    assert result.report.model in (str(TINY), "model.onnx")


@pytest.mark.parametrize("isolated", [True, False])
def test_witness_has_the_model_s_shapes(isolated: bool) -> None:
    result = vnnverify.verify(
        TINY, (SPECS / "tiny_sat.vnnlib").read_text(), **{**QUICK, "isolated": isolated}
    )
    assert result.verdict is Verdict.SAT and result.holds is False
    assert result.witness is not None
    x, y = result.witness.x, result.witness.y
    assert (x.shape, x.dtype, y.shape) == ((1, 2), np.float32, (1, 2))
    assert y[0, 0] == pytest.approx(x.max())
    assert result.report.query == "property.vnnlib"


def test_properties_built_in_python() -> None:
    box = Property.box([-1, -1], [1, 1])
    assert vnnverify.verify(TINY, box.outputs_within([-1.5, -0.5], [1.5, 2.5]), **QUICK).holds
    assert vnnverify.verify(TINY, box.keeps_class(0), **QUICK).holds is False


TWO = """
(vnnlib-version <2.0>)
(declare-network f (declare-input X real [1,2]) (declare-output Y real [1,2]))
(declare-network g (declare-input V real [1,2]) (declare-output W real [1,2]))
(assert (and (>= X[0,0] -1.0) (<= X[0,0] 1.0) (>= X[0,1] -1.0) (<= X[0,1] 1.0)))
(assert (and (== V[0,0] X[0,0]) (== V[0,1] X[0,1])))
(assert (> (- Y[0,0] W[0,0]) 0.5))
"""


def test_several_models_by_name() -> None:
    result = vnnverify.verify({"f": TINY, "g": TINY.read_bytes()}, TWO, **{**QUICK, "timeout": 10.0})
    assert result.verdict is not Verdict.SAT and result.report.model == {"f": str(TINY), "g": "g.onnx"}
    with pytest.raises(OptionError, match=r"several models need a property in VNN-LIB 2\.0"):
        vnnverify.verify({"f": TINY, "g": TINY}, Property.box([0, 0], [1, 1]).keeps_class(0), **QUICK)


def test_two_runs_of_one_model_and_of_two() -> None:
    box = Property.box([[-1, -1]], [[1, 1]])
    assert vnnverify.verify(TINY, box.monotone(0, 0, tolerance=0.01), **QUICK).holds
    result = vnnverify.verify(TINY, box.monotone((0, 0), 1), **QUICK)
    assert result.holds is False and result.witness is not None
    inputs, outputs = result.witness.inputs, result.witness.outputs
    assert list(inputs) == ["X_f", "X_g"] and list(outputs) == ["Y_f", "Y_g"]
    assert inputs["X_f"].shape == (1, 2) and inputs["X_f"].dtype == np.float32
    assert inputs["X_g"][0, 0] >= inputs["X_f"][0, 0] and inputs["X_g"][0, 1] == inputs["X_f"][0, 1]
    assert outputs["Y_g"][0, 1] < outputs["Y_f"][0, 1]
    proto = onnx.load(TINY)
    same = vnnverify.verify({"f": TINY, "g": proto}, box.equal_outputs(0.01), **QUICK)
    assert same.holds
    next(n for n in proto.graph.node if n.op_type == "Gemm").attribute.add(name="alpha", type=1, f=2.0)
    other = vnnverify.verify({"g": TINY, "f": proto}, box.equal_outputs(0.01), **QUICK)
    assert other.holds is False
    for model, prop, message in (
        ({"f": TINY, "g": TINY}, box.monotone(0, 0), "two runs of one model; give that one alone"),
        (TINY, box.equal_outputs(), "about two networks; give {'f': model, 'g': other}"),
        ({"f": TINY, "h": TINY}, box.equal_outputs(), "about two networks; give {'f': model, 'g': other}"),
    ):
        with pytest.raises(OptionError, match=re.escape(message)):
            vnnverify.verify(model, prop, **QUICK)


@pytest.mark.parametrize(
    ("module", "shape", "classes", "message"),
    [
        (
            torch.nn.Linear(3, 4),
            (2, 3),
            None,
            "outputs of shape [2, 4], and a class is one of all of them; ver",
        ),
        (
            torch.nn.Linear(3, 1),
            (2, 3),
            None,
            "outputs of shape [2, 1], and a class is one of all of them; ver",
        ),
        (
            torch.nn.Linear(3, 4),
            (1, 5, 3),
            None,
            "outputs of shape [1, 5, 4], and a class is one of all of them",
        ),
        (torch.nn.Linear(3, 4), (2, 3), 8, ""),
        (torch.nn.Linear(3, 4), (1, 3), None, ""),
        (torch.nn.Linear(3, 4), (3,), None, ""),
    ],
)
def test_a_class_is_that_of_one_input(
    module: torch.nn.Module, shape: tuple[int, ...], classes: int | None, message: str
) -> None:
    prop = Property.linf_ball(np.zeros(shape), 0.0).keeps_class(0, classes=classes)
    if not message:
        assert vnnverify.verify(module, prop, **QUICK).verdict.decided
        return
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        vnnverify.verify(module, prop, **QUICK)
    assert ("verify each of the 2 inputs on its own" in str(caught.value)) is (shape[0] == 2)


def test_module_is_exported_and_left_as_it_was() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 3))
    module[1].eval()
    prop = Property.linf_ball(torch.tensor([[0.25, 0.5]]), 0.01)
    label = int(module.eval()(torch.tensor([[0.25, 0.5]])).argmax())
    module.train()
    result = vnnverify.verify(module, prop.keeps_class(label), **QUICK)
    assert result.holds is True and result.report.model == "Sequential.onnx"
    assert module.training and module[1].training


class Coin(torch.nn.Module):
    """Adds noise, which no export can keep."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class Twins(torch.nn.Module):
    """Returns two tensors."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("module", "shape", "kind", "message"),
    [
        (Coin(), (1, 2), ModelError, "Coin, exported, computes something else than the module"),
        (Twins(), (1, 2), ModelError, "Twins does not return a single tensor"),
        (torch.nn.Linear(3, 1), (1, 2), OptionError, r"Linear does not accept an input of shape \(1, 2\)"),
    ],
)
def test_module_that_cannot_be_exported(
    module: torch.nn.Module, shape: tuple[int, ...], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        vnnverify.export(module, shape)


def test_module_whose_code_depends_on_data_is_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forks(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    monkeypatch.setattr("vnnverify.api.exporting.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"cannot be exported by tracing .*the package onnxscript"):
        vnnverify.export(Forks(), (1, 2))


@pytest.mark.parametrize(
    ("model", "prop", "how", "kind", "message"),
    [
        ("none.onnx", SAT, {}, FileError, "none.onnx: no such file"),
        (b"junk", SAT, {}, ModelError, "^model.onnx: not an ONNX model"),
        (TINY, "(assert", {}, SpecError, "^property.vnnlib:1"),
        (TINY, Property.box([0], [1]).never([1.0, 0.0], 0), {}, SpecError, "declares 1 inputs X"),
        (7, "x.vnnlib", {}, OptionError, "a model is a path, bytes, .* not int"),
        (TINY, 7, {}, OptionError, "a property is a path, VNN-LIB text or a vnnverify.Property, not int"),
        (torch.nn.Linear(2, 1), "x.vnnlib", {}, OptionError, "its input_shape is needed"),
        (TINY, SAT, {"options": {"luck": 7}}, OptionError, "unknown option 'luck'"),
        (TINY, SAT, {"options": "luck=7"}, OptionError, "options='luck=7': expected a d"),
        (TINY, SAT, {"timeout": -1}, OptionError, "timeout=-1: expected seconds, zero o"),
        (TINY, SAT, {"timeout": np.nan}, OptionError, "timeout=nan: expected seconds"),
        (TINY, SAT, {"timeout": None}, OptionError, "timeout=None: .*math.inf for no l"),
        (TINY, SAT, {"timeout": "9"}, OptionError, "timeout='9': expected seconds"),
        (TINY, SAT, {"device": "gpu"}, OptionError, "device gpu: expected auto, cpu, cud"),
        (TINY, SAT, {"device": None}, OptionError, "device None: expected auto, cpu, c"),
        (TINY, SAT, {"dtype": torch.float32}, OptionError, "dtype=torch.float32: expec"),
        (TINY, SAT, {"seed": -1}, OptionError, "seed=-1: expected a whole number"),
        (TINY, SAT, {"seed": 2**63}, OptionError, "seed=.*: expected a whole number"),
        (TINY, SAT, {"workers": 1.5}, OptionError, "workers=1.5: expected a whole nu"),
        (TINY, SAT, {"backend": 7}, OptionError, "backend=7: expected names"),
        (SAT, TINY, {}, OptionError, r"swapped; write vnnverify.verify\('.*tiny.onnx'"),
        (TINY, TINY, {}, OptionError, "tiny.onnx is a binary file, as models are, not a property"),
    ],
)  # fmt: skip
def test_bad_input_raises(
    model: Any, prop: Any, how: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        vnnverify.verify(model, prop, **{**QUICK, **how})


def test_result_shows_itself_and_has_no_truth_value(tmp_path: Path) -> None:
    result = vnnverify.verify(TINY, SPECS / "tiny_unsat.vnnlib", **QUICK)
    with pytest.raises(TypeError, match=r"ask for result\.holds"):
        bool(result)
    assert str(result).startswith("unsat: property holds")
    assert repr(result).startswith("<Result: unsat by zonotope in ")
    assert result._repr_html_().startswith("<pre>unsat: property holds")
    result.save(tmp_path / "out.json")
    assert read_report((tmp_path / "out.json").read_text()).verdict is Verdict.UNSAT


def test_threads_and_progress_in_this_process() -> None:
    threads = torch.get_num_threads()
    told: list[Progress] = []
    result = vnnverify.verify(TINY, SPECS / "tiny_unsat.vnnlib", **QUICK, progress=told.append)
    assert torch.get_num_threads() == threads
    assert [step.details.get("backend", "") for step in told] == ["", *result.stats]


def test_explanation_is_given_if_asked_for() -> None:
    how = {**QUICK, "backend": "falsification", "options": {"rounds": 1}}
    result = vnnverify.verify(TINY, SPECS / "tiny_unsat.vnnlib", **how, explain=True)
    assert result.holds is None and result.explanation is not None
    assert vnnverify.verify(TINY, SPECS / "tiny_unsat.vnnlib", **how).explanation is None


def test_cancelled_run_is_gone() -> None:
    begun = threading.Event()
    run = vnnverify.start(*HARD, timeout=300, device="cpu", progress=lambda step: begun.set())
    assert begun.wait(60) and not run.done
    run.cancel()
    with pytest.raises(CancelledError):
        run.result(30)
    assert run.done and workers() == []


def test_background_runs_are_processes() -> None:
    with pytest.raises(OptionError, match="leave `isolated` out"):
        vnnverify.start(*HARD, isolated=False).result(30)


def test_event_loop_goes_on_and_a_cancelled_task_leaves_nothing() -> None:
    told: list[Progress] = []

    async def cut_short() -> int:
        begun = asyncio.Event()

        def note(step: Progress) -> None:
            told.append(step)
            begun.set()

        task = asyncio.create_task(vnnverify.verify_async(*HARD, device="cpu", progress=note))
        await asyncio.wait_for(begun.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(workers())

    assert asyncio.run(cut_short()) == 0
    assert told[0].stage == "query"
    with pytest.raises(FileError):
        asyncio.run(vnnverify.verify_async("none.onnx", HARD[1]))


def test_many_yields_each_pair_with_its_result() -> None:
    pairs = [
        (TINY, SPECS / "tiny_sat.vnnlib"),
        ("none.onnx", SPECS / "tiny_sat.vnnlib"),
        (TINY, SPECS / "tiny_unsat.vnnlib"),
    ]
    drawn: list[int] = []

    def source() -> Any:
        for index, pair in enumerate(pairs):
            drawn.append(index)
            yield pair

    found: dict[Any, Result] = {}
    for pair, result in vnnverify.verify_many(source(), jobs=2, timeout=60, device="cpu"):
        found[pair] = result
        assert len(drawn) <= len(found) + 1
    assert [found[pair].verdict.value for pair in pairs] == ["sat", "error", "unsat"]
    assert "none.onnx: no such file" in found[pairs[1]].reason


def test_closing_many_kills_what_still_runs() -> None:
    pairs = [(TINY, SPECS / "tiny_sat.vnnlib"), HARD, HARD]
    many = vnnverify.verify_many(pairs, jobs=2, timeout=300, device="cpu")
    assert next(many)[1].verdict is Verdict.SAT
    many.close()
    started = time.monotonic()
    while workers() and time.monotonic() < started + 10:
        time.sleep(0.05)
    assert workers() == []


SUM = np.array([[2.0, -1.0, 2.0]], dtype=np.float32)  # of norm 3


def weighted(path: Path) -> Path:
    """A model y = 2 x_0 − x_1 + 2 x_2 as a matrix, a ReLU on either side, and their difference."""
    both = np.concatenate([SUM, -SUM]).T
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "W"], ["z"]),
        onnx.helper.make_node("Relu", ["z"], ["a"]),
        onnx.helper.make_node("MatMul", ["a", "V"], ["y"]),
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", 3), ("y", 1))
    ]
    weights = {"W": both, "V": np.array([[1.0], [-1.0]], dtype=np.float32)}
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = onnx.helper.make_graph(nodes, "weighted", ends[:1], ends[1:], tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("norm", "least"), [("l2_ball", 3.0), ("l1_ball", 2.0)])
def test_balls_are_decided_near_the_dual_norm(norm: str, least: float, tmp_path: Path) -> None:
    """Over the ball of radius 0.5 around (0, 0, 0.25) the output is at least 0.5 − 0.5 ‖(2, −1, 2)‖*."""
    model = weighted(tmp_path / "weighted.onnx")
    centre = np.array([[0.0, 0.0, 0.25]])
    ball = getattr(Property, norm)(centre, 0.5)
    for gap, verdict in ((-0.01, Verdict.UNSAT), (0.01, Verdict.SAT)):
        prop = ball.outputs_within(lower=0.5 - 0.5 * least + gap)
        backend = "zonotope" if norm == "l1_ball" and verdict is Verdict.UNSAT else "bound_propagation"
        options: dict[str, Any] = {**QUICK, "backend": "falsification" if verdict is Verdict.SAT else backend}
        result = vnnverify.verify(model, prop, **options)
        assert result.verdict is verdict, result.reason
        if result.witness is not None:
            away = np.abs(result.witness.x.astype(np.float64) - centre)
            assert (away.sum() if norm == "l1_ball" else np.sqrt((away**2).sum())) <= 0.5
        path = tmp_path / "ball.vnnlib"
        prop.save(path, outputs=1)
        assert vnnverify.verify(model, path, **options).verdict is verdict
