# SPDX-License-Identifier: Apache-2.0
"""Verification from Python: what may be given, what comes back, and that nothing is left running."""

from __future__ import annotations

import asyncio
import contextlib
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
            if "vnnverify.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
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
        ("none.onnx", SPECS / "tiny_sat.vnnlib", {}, FileError, "none.onnx: no such file"),
        (b"junk", SPECS / "tiny_sat.vnnlib", {}, ModelError, "^model.onnx: not an ONNX model"),
        (TINY, "(assert", {}, SpecError, "^property.vnnlib:1"),
        (TINY, Property.box([0], [1]).never([1.0, 0.0], 0), {}, SpecError, "declares 1 inputs X"),
        (7, "x.vnnlib", {}, OptionError, "a model is a path, bytes, .* not int"),
        (TINY, 7, {}, OptionError, "a property is a path, VNN-LIB text or a vnnverify.Property, not int"),
        (torch.nn.Linear(2, 1), "x.vnnlib", {}, OptionError, "its input_shape is needed"),
        (TINY, SPECS / "tiny_sat.vnnlib", {"options": {"luck": 7}}, OptionError, "unknown option 'luck'"),
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
