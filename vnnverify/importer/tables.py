# SPDX-License-Identifier: Apache-2.0
"""What a node makes of each number of a type that has few, as onnxruntime computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer.builder import REMEDY
from vnnverify.importer.parsing import one_line

__all__ = ["tabulate"]

_OPSET = 21


def tabulate(
    op_type: str,
    domain: str,
    attributes: Mapping[str, Any],
    inputs: Sequence[np.ndarray | None],
    place: str,
) -> np.ndarray:
    """The first output of a node for these inputs (None: left out), with optimisation off.

    Raises:
        UnsupportedModelError: onnxruntime does not run it; `place` says in the message what.
    """
    import onnxruntime

    known = {f"in{k}": part for k, part in enumerate(inputs) if part is not None}
    names = [f"in{k}" if part is not None else "" for k, part in enumerate(inputs)]
    node = onnx.helper.make_node(op_type, names, ["out"], domain=domain, **attributes)
    graph = onnx.helper.make_graph(
        [node],
        "table",
        [],
        [onnx.ValueInfoProto(name="out")],
        [onnx.numpy_helper.from_array(part, name) for name, part in known.items()],
    )
    opsets = [onnx.helper.make_opsetid("", _OPSET), onnx.helper.make_opsetid(domain, 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        return np.asarray(session.run(None, {})[0])
    except Exception as error:  # onnxruntime raises what its C++ raises
        raise UnsupportedModelError(
            f"{place}: cannot be evaluated on its constants ({one_line(error)}); {REMEDY}"
        ) from error
