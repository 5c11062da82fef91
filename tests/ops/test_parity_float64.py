# SPDX-License-Identifier: Apache-2.0
"""Every operator computes in float64 what others compute of the same model in float64: to nine digits.

In float32 a formula that is almost right, or a constant that was rounded, would pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from node_cases import Case
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
Run = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


def doubled(data: bytes) -> onnx.ModelProto:
    """The model with doubles in place of floats."""
    model = onnx.load_from_string(data)
    for info in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        tensor = info.type.tensor_type
        tensor.elem_type = DOUBLE if tensor.elem_type == FLOAT else tensor.elem_type
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT:
            wide = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT:
                attribute.i = DOUBLE
    return model


def by_onnxruntime(model: onnx.ModelProto) -> Run:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=providers)
    return lambda feed: session.run(None, feed)


def by_reference(model: onnx.ModelProto) -> Run:
    reference = ReferenceEvaluator(model)
    return lambda feed: reference.run(None, feed)


def values(run: Run, case: Case, x: torch.Tensor) -> np.ndarray:
    shapes = {f"in{k}": i for k, i in enumerate(case.inputs) if isinstance(i, tuple)}
    cuts = np.cumsum([int(np.prod(s)) for s in shapes.values()])[:-1]
    rows = []
    for point in x.numpy():
        parts = np.split(point, cuts)
        feed = {k: p.reshape(s) for (k, s), p in zip(shapes.items(), parts, strict=True)}
        rows.append(np.concatenate([np.asarray(v, dtype=np.float64).reshape(-1) for v in run(feed)]))
    return np.stack(rows)


def by_torch(case: Case, x: torch.Tensor) -> torch.Tensor | None:
    """Operators whose constants the others round to float32, or which they get wrong."""
    a, F = case.attributes, torch.nn.functional
    batch = x.reshape(-1, *case.inputs[0][1:]) if case.op in ("LRN", "GroupNormalization") else x
    match case.op:
        case "Erf":
            return torch.erf(x)
        case "HardSwish":
            return F.hardswish(x)
        case "Gelu":
            return F.gelu(x, approximate=a.get("approximate", "none"))
        case "LRN":
            alpha, beta = a.get("alpha", float(np.float32(1e-4))), a.get("beta", 0.75)
            size, bias = a["size"], a.get("bias", 1.0)
            if size == 1:  # which torch has no padding for
                return (batch / (bias + alpha * batch.square()) ** beta).reshape(len(x), -1)
            return F.local_response_norm(batch, size, alpha, beta, bias).reshape(len(x), -1)
        case "GroupNormalization":
            scale, shift = (torch.from_numpy(c).double() for c in case.inputs[1:])
            eps = float(np.float32(a.get("epsilon", 1e-5)))
            return F.group_norm(batch, a["num_groups"], scale, shift, eps).reshape(len(x), -1)
    return None


def computed(case: Case, x: torch.Tensor) -> Iterator[np.ndarray]:
    """By whoever can: onnxruntime lacks many kernels for doubles, and onnx's own reference some variants."""
    known = by_torch(case, x)
    if known is not None:
        yield known.numpy()
        return
    model = doubled(case.data)
    for made in (by_onnxruntime, by_reference):
        try:
            yield values(made(model), case, x)
        except Exception:
            continue


def test_nine_digits(case: Case) -> None:
    if case.op in ("RNN", "GRU", "LSTM") and case.attributes.get("direction", "forward") != "forward":
        pytest.skip("onnx's reference reads sequences forwards only, and onnxruntime has no doubles here")
    if case.op in ("Resize", "Upsample"):
        pytest.skip("onnxruntime computes places and weights in float32, whatever they are of")
    if case.op == "LpPool" and "ceil_mode" in case.attributes:
        pytest.skip("onnx's reference leaves out windows that stick out, and onnxruntime has no doubles here")
    if case.op == "Hardmax" and case.opset < 13:
        pytest.skip("onnx's reference reads it as the later version, and onnxruntime has no doubles here")
    x = case.points(2)
    found = case.model.graph(x).numpy()
    expected = [y for y in computed(case, x) if y.shape == found.shape]
    if not expected:
        pytest.skip("nobody else computes it in float64")
    gaps = [float(np.max(np.abs(found - y) / (np.abs(y) + 1e-2), initial=0.0)) for y in expected]
    assert min(gaps) < 1e-9
