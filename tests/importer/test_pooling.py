# SPDX-License-Identifier: Apache-2.0
"""Windows of pooling operators lie where onnxruntime puts them."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import helper

from vnnverify.importer import Model


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "LpPool"])
@pytest.mark.parametrize(
    "shape, attributes",
    [
        ([1, 2, 1, 3], {"kernel_shape": [2, 1], "strides": [3, 1]}),
        ([1, 2, 1], {"kernel_shape": [3], "strides": [3]}),
        ([1, 2, 2, 2], {"kernel_shape": [2, 2], "strides": [3, 3], "dilations": [2, 3]}),
    ],
)
def test_a_kernel_larger_than_the_image_is_cut_at_its_end(
    kind: str,
    shape: list[int],
    attributes: dict[str, list[int]],
    build: Callable[..., onnx.ModelProto],
    tried: Callable[..., Model],
) -> None:
    nodes = [helper.make_node(kind, ["x"], ["y"], **attributes)]
    model = tried(build(nodes, {"x": shape}, {"y": [None] * len(shape)}, opset=19), low=0.5, high=2.0)
    assert model.graph.output_size > 0
