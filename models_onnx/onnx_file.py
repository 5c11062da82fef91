# SPDX-License-Identifier: Apache-2.0
"""Writes a chain of layers as an ONNX model, float32, opset 13, with plain names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

__all__ = ["nodes_of", "write_model"]

OPSET = 13


def nodes_of(chain: nn.Sequential) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes and initializers of Linear, Conv2d (no padding mode but zeros), Flatten and ReLU modules.

    Raises:
        TypeError: another kind of module.
    """
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    x = "X"
    for index, module in enumerate(chain):
        y = "Y" if index == len(chain) - 1 else f"h{index}"
        inputs = [x]
        if isinstance(module, nn.Linear | nn.Conv2d):
            for key in ("weight", "bias"):
                array: NDArray[np.float32] = getattr(module, key).detach().numpy().astype(np.float32)
                weights.append(numpy_helper.from_array(array, f"{key}{index}"))
                inputs.append(f"{key}{index}")
        if isinstance(module, nn.Linear):
            node = helper.make_node("Gemm", inputs, [y], name=f"linear{index}", transB=1)
        elif isinstance(module, nn.Conv2d):
            pads = [int(p) for p in module.padding] * 2
            node = helper.make_node(
                "Conv", inputs, [y], name=f"conv{index}", strides=list(module.stride), pads=pads
            )
        elif isinstance(module, nn.Flatten):
            node = helper.make_node("Flatten", inputs, [y], name=f"flatten{index}", axis=1)
        elif isinstance(module, nn.ReLU):
            node = helper.make_node("Relu", inputs, [y], name=f"relu{index}")
        else:
            raise TypeError(f"layer {index}: {type(module).__name__} has no ONNX form here")
        nodes.append(node)
        x = y
    return nodes, weights


def write_model(path: Path, chain: nn.Sequential, input_shape: tuple[int, ...], outputs: int) -> None:
    """Write `chain` with input X of `input_shape` and output Y (1, outputs); checked before it is saved."""
    nodes, weights = nodes_of(chain)
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (1, outputs))],
        weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="vnnverify", ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
