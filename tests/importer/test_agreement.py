# SPDX-License-Identifier: Apache-2.0
"""A difference to onnxruntime is seen, also where there is no number; points fit the model's types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from vnnverify.importer import Model, read_model
from vnnverify.importer.agreement import agreement_needed, check_against_onnxruntime
from vnnverify.query import Layout, TensorSpec

Build = Callable[..., onnx.ModelProto]
POINTS = torch.tensor([[-2.0, 0.3]], dtype=torch.float64)


def applied(build: Build, kind: str) -> Model:
    proto = build([helper.make_node(kind, ["x"], ["y"])], {"x": [1, 2]}, {"y": [1, 2]}, {})
    return read_model(proto.SerializeToString())


def mixed(ours: Model, theirs: Model) -> Model:
    """The graph of one model with the file of another."""
    return dataclasses.replace(theirs, graph=ours.graph)


def test_not_a_number_on_both_sides_agrees(build: Build) -> None:
    assert check_against_onnxruntime(applied(build, "Sqrt"), POINTS) < 1e-6


@pytest.mark.parametrize(("ours", "theirs"), [("Sqrt", "Abs"), ("Abs", "Sqrt")])
def test_not_a_number_on_one_side_differs(build: Build, ours: str, theirs: str) -> None:
    model = mixed(applied(build, ours), applied(build, theirs))
    assert check_against_onnxruntime(model, POINTS) == np.inf


def test_another_function_differs(build: Build) -> None:
    model = mixed(applied(build, "Neg"), applied(build, "Identity"))
    assert check_against_onnxruntime(model, POINTS) == pytest.approx(2.0)


def test_whole_inputs_are_rounded(build: Build) -> None:
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    proto = build(nodes, {"x": [1, 2]}, {"y": [1, 2]}, {})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    model = read_model(proto.SerializeToString())
    assert check_against_onnxruntime(model, torch.tensor([[0.7, 3.2]])) == 0.0


@pytest.mark.parametrize(("kind", "needed"), [("float16", 2e-2), ("float32", 1e-4), ("float64", 1e-4)])
def test_half_precision_may_differ_more(kind: str, needed: float) -> None:
    x, y = TensorSpec("x", (1, 2), "float32"), TensorSpec("y", (1, 2), kind)
    assert agreement_needed(Layout((x,), (y,))) == needed
