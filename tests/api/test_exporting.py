# SPDX-License-Identifier: Apache-2.0
"""What PyTorch exports, in whatever form it is handed over, is verified like any other model."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

import vnnverify
from vnnverify import Property
from vnnverify.api.exporting import export_program
from vnnverify.errors import ModelError, OptionError

HOW: dict[str, Any] = {"timeout": 60.0, "device": "cpu", "isolated": False, "backend": "bound_propagation"}
BOX = Property.box([[0.0] * 40], [[1.0] * 40])


def network() -> nn.Module:
    """The sum of 40 inputs, and a number that stays below it; large enough for a data file."""
    wide = nn.Linear(40, 20)
    nn.init.constant_(wide.weight, 0.05)
    nn.init.zeros_(wide.bias)
    last = nn.Linear(20, 2)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[1.0], [0.5]]).expand(2, 20))
        last.bias.copy_(torch.tensor([1.0, 0.0]))
    return nn.Sequential(wide, nn.ReLU(), last).eval()


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The network as `verify` may be given it."""
    pytest.importorskip("onnxscript", reason="torch.export becomes ONNX through onnxscript only")
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    program = torch.export.export(network(), (torch.zeros(1, 40),))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        made: Any = torch.onnx.export(program, (), dynamo=True, verbose=False)
        made.save(path, external_data=True)
    assert path.with_name("net.onnx.data").is_file()
    return {"program": program, "onnx program": made, "path": path, "proto": onnx.load(path)}


@pytest.mark.parametrize("form", ["program", "onnx program", "path", "proto"])
def test_every_form_has_the_answer(forms: dict[str, Any], form: str) -> None:
    assert vnnverify.verify(forms[form], BOX.keeps_class(0), **HOW).holds
    if form == "path":
        result = vnnverify.verify(forms[form], BOX.outputs_within([0, 0], [50, 19]), **HOW)
        assert result.holds is False and result.witness is not None


def test_proto_without_its_data_says_what_to_do() -> None:
    model = onnx.load(Path(__file__).parents[2] / "models_onnx" / "tiny.onnx")
    onnx.external_data_helper.convert_model_to_external_data(model, location="tiny.data", size_threshold=0)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    box = Property.box([-1, -1], [1, 1]).keeps_class(0)
    for given in (model, model.SerializeToString()):
        with pytest.raises(ModelError, match=r"'tiny\.data', which is not among .* load it with onnx\.load"):
            vnnverify.verify(given, box, **HOW)


class Two(nn.Module):
    """Of a tensor, whole numbers and an option."""

    def forward(self, x: Tensor, index: Tensor, *, scale: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(x[:, index] * scale), x - 1


def test_program_of_several_tensors() -> None:
    pytest.importorskip("onnxscript", reason="torch.export becomes ONNX through onnxscript only")
    program = torch.export.export(
        Two(), (torch.ones(1, 3), torch.tensor([2, 0])), {"scale": torch.tensor([2.0])}
    )
    model = onnx.load_model_from_string(export_program(program))
    assert len(model.graph.input) == 3 and len(model.graph.output) == 2


class Noisy(nn.Module):
    """Never the same."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def test_programs_that_cannot_be_compared_are_refused() -> None:
    pytest.importorskip("onnxscript", reason="torch.export becomes ONNX through onnxscript only")
    noisy = torch.export.export(Noisy(), (torch.zeros(1, 2),))
    with pytest.raises(ModelError, match="the exported program, exported, computes something else"):
        export_program(noisy)
    noisy.example_inputs = None
    with pytest.raises(OptionError, match="holds no example inputs"):
        export_program(noisy)
