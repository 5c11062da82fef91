# SPDX-License-Identifier: Apache-2.0
"""Original models as onnxruntime runs them: the judges of witnesses and of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vnnverify.query.layout import Layout, TensorSpec
from vnnverify.query.representable import as_type
from vnnverify.query.source import Judge, ModelFile

__all__ = ["ModelsRunner", "OnnxRunner", "judges_of"]


class OnnxRunner:
    """The model in onnxruntime, on the CPU, single-threaded so that results repeat.

    Args:
        optimised: let onnxruntime rewrite the graph, as it does by default.
    """

    def __init__(self, data: bytes, layout: Layout, *, optimised: bool = True) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        if not optimised:
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            data, sess_options=settings, providers=["CPUExecutionProvider"]
        )
        self._layout = layout

    def __call__(self, x: Sequence[float]) -> tuple[float, ...]:
        """Flat outputs at one flat point, as the nearest numbers of the model's types. A whole number that is
        no float64 comes out as NaN, which confirms nothing."""
        feed, start = {}, 0
        for spec in self._layout.inputs:
            size = int(np.prod(spec.shape))
            part = np.asarray(x[start : start + size], dtype=np.float64)
            feed[spec.name] = as_type(part, spec.dtype).reshape(spec.shape)
            start += size
        names = [spec.name for spec in self._layout.outputs]
        if any(spec.dtype == "bfloat16" for spec in self._layout.inputs):
            values = self._run_with_bfloat16(names, feed)
        else:
            values = self._session.run(names, feed)
        pairs = zip(self._layout.outputs, values, strict=True)
        return tuple(number for spec, value in pairs for number in _numbers(spec, value))

    def _run_with_bfloat16(self, names: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs; onnxruntime takes these numbers as their bits only."""
        import onnxruntime
        from onnx import TensorProto

        given = {}
        for spec in self._layout.inputs:
            value = feed[spec.name]
            if spec.dtype == "bfloat16":
                given[spec.name] = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
                    value.view(np.uint16), TensorProto.BFLOAT16
                )
            else:
                given[spec.name] = onnxruntime.OrtValue.ortvalue_from_numpy(value)
        return [value.numpy() for value in self._session.run_with_ort_values(names, given)]


def _numbers(spec: TensorSpec, value: Any) -> list[float]:
    """The flat numbers of an output, of maps in the order of their classes."""
    if spec.classes:
        return [_exact(row[key]) for row in value for key in spec.classes]
    array = np.asarray(value).reshape(-1)
    if np.issubdtype(array.dtype, np.floating):
        found: list[float] = array.tolist()
        return found
    return [_exact(number) for number in array.tolist()]


class ModelsRunner:
    """Several models side by side: the inputs and the outputs of all, each in turn.

    Args:
        models: one per network; the same object twice is one session.
        optimised: let onnxruntime rewrite the graphs.
    """

    def __init__(self, models: Sequence[ModelFile], *, optimised: bool = True) -> None:
        self._models = tuple(models)
        self._optimised = optimised
        self._runners: dict[int, OnnxRunner] = {}

    def __call__(self, x: Sequence[float]) -> tuple[float, ...]:
        """Flat outputs of all models at one flat point of all inputs."""
        found: list[float] = []
        start = 0
        for model in self._models:
            runner = self._runners.get(id(model))
            if runner is None:
                runner = self._runners[id(model)] = OnnxRunner(
                    model.data, model.layout, optimised=self._optimised
                )
            size = sum(int(np.prod(spec.shape)) for spec in model.layout.inputs)
            found.extend(runner(x[start : start + size]))
            start += size
        return tuple(found)


def judges_of(models: Sequence[ModelFile]) -> tuple[Judge, ...]:
    """onnxruntime as it is by default, and with its graph optimisation off: its rewritings are not always the
    same function. The sessions are made when they are first asked."""
    return (
        Judge("onnxruntime", ModelsRunner(models)),
        Judge("onnxruntime with graph optimisation off", ModelsRunner(models, optimised=False)),
    )


def _exact(value: float) -> float:
    found = float(value)
    return found if not isinstance(value, int) or int(found) == value else float("nan")
