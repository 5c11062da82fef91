# SPDX-License-Identifier: Apache-2.0
"""A model that states another output shape than onnxruntime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import SpecError
from vnnverify.loading.loader import load_query

FLOAT = TensorProto.FLOAT


@pytest.fixture
def query(tmp_path: Path):
    """The query about a model that states 4x4 and computes 3x3, and an assertion about one of 16 outputs."""
    node = helper.make_node("ConvTranspose", ["x", "k"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])
    kernel = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "k")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("y", FLOAT, [1, 1, 4, 4])],
        [kernel],
    )
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")

    def load(output: int):
        lines = [f"(declare-const X_{k} Real)" for k in range(4)]
        lines += [f"(declare-const Y_{k} Real)" for k in range(16)]
        lines += [f"(assert (<= X_{k} 1))(assert (>= X_{k} 0))" for k in range(4)]
        text = "\n".join([*lines, f"(assert (>= Y_{output} 0.5))"])
        (tmp_path / "p.vnnlib").write_text(text)
        return load_query(str(tmp_path / "m.onnx"), str(tmp_path / "p.vnnlib"))

    return load


@pytest.mark.parametrize("output", [0, 2])
def test_elements_that_are_the_same_in_both_shapes_can_be_spoken_of(query, output: int) -> None:
    found = query(output)
    assert found.graph.output_size == 9
    (row,) = found.clauses[0].unsafe[0].A.tolist()
    assert [k for k, weight in enumerate(row) if weight] == [output]


@pytest.mark.parametrize("output", [3, 4, 15])
def test_others_are_refused(query, output: int) -> None:
    with pytest.raises(SpecError, match=rf"states the shape .*1, 1, 3, 3\]; Y_{output} is not the same"):
        query(output)
