# SPDX-License-Identifier: Apache-2.0
"""What onnxruntime makes of one node: the last word on what an operator's attributes mean.

Readers of operators that move, pick or mix elements ask it for the places or the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vnnverify.errors import UnsupportedModelError

__all__ = ["computed"]

_IR_VERSION = 10


def computed(
    op_type: str,
    inputs: Sequence[np.ndarray | None],
    attributes: Mapping[str, Any],
    opset: int,
    title: str,
) -> np.ndarray:
    """The first output of an ONNX operator for these inputs, on the CPU and without optimisations.

    Args:
        inputs: the first is fed, the others are initializers; None is one left out.
        title: what messages call the node.

    Raises:
        UnsupportedModelError: onnxruntime does not run it.
    """
    import onnxruntime

    names = [f"in{k}" if x is not None else "" for k, x in enumerate(inputs)]
    given = {name: x for name, x in zip(names, inputs, strict=True) if x is not None}
    node = helper.make_node(op_type, names, ["out"], **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in given.items()
            if name == names[0]
        ],
        [onnx.ValueInfoProto(name="out")],
        [numpy_helper.from_array(x, name) for name, x in given.items() if name != names[0]],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR_VERSION)
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), sess_options=settings, providers=["CPUExecutionProvider"]
        )
        return np.asarray(session.run(["out"], {names[0]: inputs[0]})[0])
    except Exception as error:  # onnxruntime raises types of its own, and bare ones
        text = " ".join(str(error).split())[-200:]
        raise UnsupportedModelError(f"{title}: onnxruntime does not run it ({text})") from error
