# SPDX-License-Identifier: Apache-2.0
"""A difference to onnxruntime is seen, also where there is no number; points fit the model's types."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from vnnverify.guard.agreement import agreement_needed, check_against_onnxruntime
from vnnverify.importer import Model
from vnnverify.query import Layout, TensorSpec

from .conftest import model

POINTS = torch.tensor([[-2.0, 0.3]], dtype=torch.float64)


def applied(kind: str) -> Model:
    return model([helper.make_node(kind, ["x"], ["y"])], 2)


def mixed(ours: Model, theirs: Model) -> Model:
    """The graph of one model with the file of another."""
    return dataclasses.replace(theirs, graph=ours.graph)


def test_not_a_number_on_both_sides_agrees() -> None:
    assert check_against_onnxruntime(applied("Sqrt"), POINTS) < 1e-6


@pytest.mark.parametrize(("ours", "theirs"), [("Sqrt", "Abs"), ("Abs", "Sqrt")])
def test_not_a_number_on_one_side_differs(ours: str, theirs: str) -> None:
    assert check_against_onnxruntime(mixed(applied(ours), applied(theirs)), POINTS) == np.inf


def test_another_function_differs() -> None:
    other = mixed(applied("Neg"), applied("Identity"))
    assert check_against_onnxruntime(other, POINTS) == pytest.approx(2.0)


def test_whole_inputs_are_rounded() -> None:
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    whole = model(nodes, 2, kind=TensorProto.INT64)
    assert check_against_onnxruntime(whole, torch.tensor([[0.7, 3.2]])) == 0.0


@pytest.mark.parametrize(("kind", "needed"), [("float16", 2e-2), ("float32", 1e-4), ("float64", 1e-4)])
def test_half_precision_may_differ_more(kind: str, needed: float) -> None:
    x, y = TensorSpec("x", (1, 2), "float32"), TensorSpec("y", (1, 2), kind)
    assert agreement_needed(Layout((x,), (y,))) == needed
