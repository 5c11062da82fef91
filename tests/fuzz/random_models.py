# SPDX-License-Identifier: Apache-2.0
"""Random ONNX models of a few operators with random attributes, as a runtime accepts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from draft import Draft
from further_operators import FURTHER
from onnx import TensorProto, helper, numpy_helper
from operators import CATALOGUE

__all__ = ["RandomModel", "random_model"]

SHAPES = ((1, 4), (1, 3, 5), (1, 2, 4, 4), (2, 3), (1, 4, 3, 5), (1, 1, 1, 3), (6,), (1, 2, 2, 3, 3))
OPSETS = (7, 9, 10, 11, 12, 13, 15, 17, 18, 19, 21, 23)
LARGEST = 4096  # elements of a value


@dataclass(frozen=True)
class RandomModel:
    """A model from x to y, both float32, that onnxruntime loads; and a box for x."""

    data: bytes
    kinds: tuple[str, ...]
    lower: float
    upper: float
    size: int = field(default=0)  # of x


def random_model(rng: np.random.Generator, operators: Sequence[str] = ()) -> RandomModel | None:
    """A model of one to four operators, or None where the draw is no valid one.

    Args:
        operators: of these kinds only; default: all of the catalogue.
    """
    shape = SHAPES[rng.integers(len(SHAPES))]
    draft = Draft(rng, int(OPSETS[rng.integers(len(OPSETS))]), "x", shape)
    catalogue = CATALOGUE | FURTHER
    names = list(operators or catalogue)
    kinds: list[str] = []
    for _ in range(int(rng.integers(1, 5))):
        kind = names[rng.integers(len(names))]
        kept = draft.copy()
        try:
            catalogue[kind](draft)
            known = _inferred(draft, shape)
        except (ValueError, IndexError, TypeError):
            known = None
        if known is None or not 0 < int(np.prod(known)) <= LARGEST:
            draft = kept
            continue
        draft.earlier.append((kept.name, kept.shape))
        draft.shape = known
        kinds.append(kind)
    if not kinds:
        return None
    data = _model(draft, shape, (draft.name, None)).SerializeToString()
    if _session(data) is None:
        return None
    centre = float(rng.choice([0.0, 0.0, 0.5, -2.0, 3.0, 130.0, rng.normal()]))
    radius = float(rng.choice([0.01, 0.5, 1.0, 3.0, 10.0, 200.0]))
    size = int(np.prod(shape))
    return RandomModel(data, tuple(kinds), centre - radius, centre + radius, size)


def _model(draft: Draft, shape: Sequence[int], output: tuple[str, Any]) -> onnx.ModelProto:
    graph = helper.make_graph(
        draft.nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1] or [None] * len(draft.shape))],
        [numpy_helper.from_array(array, name) for name, array in draft.constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", draft.opset)], ir_version=8)


def _inferred(draft: Draft, shape: Sequence[int]) -> tuple[int, ...] | None:
    """The shape of the draft's last value, as onnxruntime computes it at one point; None if it refuses."""
    graph = helper.make_graph(
        draft.nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [onnx.ValueInfoProto(name=draft.name)],
        [numpy_helper.from_array(array, name) for name, array in draft.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", draft.opset)], ir_version=8)
    session = _session(model.SerializeToString())
    if session is None:
        return None
    try:
        (y,) = session.run(None, {"x": np.full(shape, 0.5, np.float32)})
    except Exception:  # onnxruntime raises what its C++ raises
        return None
    return y.shape if y.dtype == np.float32 else None


def _session(data: bytes) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime raises what its C++ raises
        return None
