# SPDX-License-Identifier: Apache-2.0
"""What onnxruntime, without its optimisations, says of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from vnnverify.query import Layout

__all__ = ["observed_layout", "session_of", "takes"]


def session_of(data: bytes) -> Any:
    """The model as a session on the CPU, with one thread.

    Raises whatever onnxruntime raises for a model that it refuses.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(data, sess_options=settings, providers=["CPUExecutionProvider"])


def takes(data: bytes) -> bool:
    """Whether onnxruntime takes the model."""
    try:
        session_of(data)
    except Exception:  # onnxruntime raises what its C++ raises
        return False
    return True


def observed_layout(data: bytes, layout: Layout) -> Layout:
    """The layout with the shapes and types that the outputs have where all inputs are a half, or 0 where they
    are whole; the layout as it is where onnxruntime cannot compute them."""
    try:
        session = session_of(data)
        feed = {spec.name: np.full(spec.shape, 0.5).astype(spec.dtype) for spec in layout.inputs}
        found: Iterable[Any] = session.run([spec.name for spec in layout.outputs], feed)
    except Exception:  # onnxruntime raises what its C++ raises
        return layout
    arrays = [np.asarray(value) for value in found]
    outputs = (
        replace(spec, shape=array.shape, dtype=spec.dtype or str(array.dtype))
        for spec, array in zip(layout.outputs, arrays, strict=True)
    )
    return Layout(layout.inputs, tuple(outputs))
