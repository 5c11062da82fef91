# SPDX-License-Identifier: Apache-2.0
"""Outputs of classifiers: maps of probabilities in the order of the classes, numbers of labels, no text."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, helper

import vnnverify
from vnnverify.domains.interval import bounds
from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer import load_model, read_model
from vnnverify.importer.sessions import OnnxRunner
from vnnverify.query import Box

FOLDER = Path(__file__).parent / "sklearn_models"
ML = "ai.onnx.ml"


def zip_map(classes: list[Any]) -> ModelProto:
    """A classifier of two inputs and three classes, 2·x_0 and so on, with a map of scores."""
    text = isinstance(classes[0], str)
    keys = {"classlabels_strings" if text else "classlabels_int64s": classes}
    labels = {"classlabels_strings" if text else "classlabels_ints": classes}
    weights = {"coefficients": [2.0, 0.0, 0.0, 2.0, -1.0, -1.0], "intercepts": [0.0, 0.0, 0.0]}
    graph = helper.make_graph(
        [
            helper.make_node("LinearClassifier", ["x"], ["l", "p"], domain=ML, **weights, **labels),
            helper.make_node("ZipMap", ["p"], ["m"], "zip", domain=ML, **keys),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [
            helper.make_tensor_value_info("l", TensorProto.STRING if text else TensorProto.INT64, [1]),
            helper.make_value_info(
                "m",
                helper.make_sequence_type_proto(
                    helper.make_map_type_proto(
                        TensorProto.STRING if text else TensorProto.INT64,
                        helper.make_tensor_type_proto(TensorProto.FLOAT, []),
                    )
                ),
            ),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(ML, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_numbers_come_in_the_order_of_the_classes() -> None:
    data = zip_map([7, 3, 5]).SerializeToString()
    model = read_model(data)
    assert [(s.name, s.shape, s.dtype, s.classes) for s in model.layout.outputs] == [
        ("l", (1,), "int64", ()),
        ("m", (1, 3), "float32", (7, 3, 5)),
    ]
    expected = (3.0, 1.0, 4.0, -2.5)  # the label of the largest score, and the scores of 7, 3 and 5
    assert OnnxRunner(data, model.layout)([0.5, 2.0]) == expected
    assert tuple(model.graph(torch.tensor([[0.5, 2.0]], dtype=torch.float64))[0].tolist()) == expected


def test_text_is_left_out_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    data = zip_map(["b", "c", "a"]).SerializeToString()
    with caplog.at_level(logging.WARNING):
        model = read_model(data)
    assert [(s.name, s.classes) for s in model.layout.outputs] == [("m", ("b", "c", "a"))]
    assert OnnxRunner(data, model.layout)([0.5, 2.0]) == (1.0, 4.0, -2.5)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "output 'l' holds text and is left out: a property speaks of the other outputs"


def test_a_property_of_probabilities_is_proved_and_refuted() -> None:
    model = zip_map(["b", "c", "a"]).SerializeToString()
    box = "(declare-const X_0 Real)(declare-const X_1 Real)" + "".join(
        f"(declare-const Y_{k} Real)" for k in range(3)
    )
    box += "(assert (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1)))"
    proved = vnnverify.verify(model, box + "(assert (>= Y_2 0.5))", timeout=20)
    assert proved.verdict.value == "unsat"
    refuted = vnnverify.verify(model, box + "(assert (>= Y_1 1.5))", timeout=20)
    assert refuted.verdict.value == "sat"
    assert refuted.witness is not None
    assert refuted.witness.y.reshape(-1)[1] >= 1.5


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.onnx")))
def test_pipelines_agree_with_onnxruntime(name: str) -> None:
    model = load_model(str(FOLDER / f"{name}.onnx"))
    run = OnnxRunner(model.data, model.layout)
    x = torch.rand(60, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    y = np.array([run(point.tolist()) for point in x])
    np.testing.assert_allclose(model.graph(x.double()).numpy(), y, rtol=1e-4, atol=1e-5)
    low, high = bounds(model.graph, Box(x[0].double() - 0.05, x[0].double() + 0.05))
    near = x[0] + 0.1 * torch.rand(60, 3, generator=torch.Generator().manual_seed(2)) - 0.05
    y = np.array([run(point.tolist()) for point in near])
    assert (y >= low.numpy() - 1e-5).all()
    assert (y <= high.numpy() + 1e-5).all()


def test_classes_of_names_are_in_the_order_of_the_file() -> None:
    (spec,) = load_model(str(FOLDER / "network_names.onnx")).layout.outputs
    assert (spec.shape, spec.classes) == ((1, 3), ("high", "low", "mid"))


def changed(**what: Any) -> ModelProto:
    model = zip_map([7, 3, 5])
    for name, value in what.items():
        node = model.graph.node[1]
        del node.attribute[:]
        node.attribute.append(helper.make_attribute(name, value))
    return model


def only_text() -> ModelProto:
    model = zip_map(["a", "b", "c"])
    del model.graph.output[1:], model.graph.node[1:]
    return model


def text_input() -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("OneHotEncoder", ["x"], ["y"], domain=ML, cats_strings=["a", "b"])],
        "text",
        [helper.make_tensor_value_info("x", TensorProto.STRING, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(ML, 1)], ir_version=8)


@pytest.mark.parametrize(
    ("model", "kind", "text"),
    [
        (
            changed(classlabels_int64s=[7, 3, 7]),
            UnsupportedModelError,
            "'m' gives the same name to two classes",
        ),
        (changed(classlabels_int64s=[7, 3]), ModelError, "has 2 classes for 3 numbers"),
        (
            only_text(),
            ModelError,
            "output 'l' holds text, which a property cannot speak of, and there is no other",
        ),
        (text_input(), ModelError, "'x' holds text, which a property cannot speak of"),
    ],
)
def test_what_cannot_be_read_is_refused(model: ModelProto, kind: type[ModelError], text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        read_model(model.SerializeToString())
    assert type(caught.value) is kind
