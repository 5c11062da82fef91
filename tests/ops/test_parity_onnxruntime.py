# SPDX-License-Identifier: Apache-2.0
"""Every operator computes what onnxruntime computes."""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from node_cases import Case


def run_onnxruntime(case: Case, x: torch.Tensor) -> np.ndarray:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(case.data, settings, providers=["CPUExecutionProvider"])
    shapes = [i for i in case.inputs if isinstance(i, tuple)]
    names = [f"in{k}" for k, i in enumerate(case.inputs) if isinstance(i, tuple)]
    rows = []
    for point in x.numpy().astype(np.float32):
        parts = np.split(point, np.cumsum([int(np.prod(s)) for s in shapes])[:-1])
        feed = {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        rows.append(np.concatenate([np.asarray(v).reshape(-1) for v in session.run(None, feed)]))
    return np.stack(rows)


def test_values_agree(case: Case) -> None:
    model = case.model
    x = case.points(3)
    expected = run_onnxruntime(case, x)
    found = model.graph(x).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_declared_shapes_are_the_computed_ones(case: Case) -> None:
    model = case.model
    values = model.graph.evaluate(case.points(2))
    assert all(tensor.shape == (2, *value.shape) for value, tensor in values.items())
    assert [spec.shape for spec in model.layout.outputs] == [v.shape for v in model.graph.outputs]


def test_float32_is_close_to_float64(case: Case) -> None:
    graph = case.model.graph
    x = case.points(3)
    single = graph.to("cpu", torch.float32)(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), graph(x), rtol=1e-4, atol=1e-5)


def test_gradients_flow(case: Case) -> None:
    graph = case.model.graph
    x = case.points(2).requires_grad_()
    (gradient,) = torch.autograd.grad(graph(x).sum(), x, allow_unused=False)
    assert torch.isfinite(gradient).all()
