# SPDX-License-Identifier: Apache-2.0
"""RNN, GRU and LSTM: a step by hand, the batch axis first, bounds, and what is refused."""

from __future__ import annotations

from math import tanh
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.domains import interval
from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer import Model, read_model

RNG = np.random.default_rng(5)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def model(op: str, W: np.ndarray, R: np.ndarray, shape: tuple[int, ...], **attributes: Any) -> Model:
    node = helper.make_node(op, ["x", "W", "R"], ["y"], name="cell", hidden_size=R.shape[-1], **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(W, "W"), numpy_helper.from_array(R, "R")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return read_model(proto.SerializeToString())


def weights(op: str) -> tuple[np.ndarray, np.ndarray]:
    rows = 2 * GATES[op]
    return tuple(RNG.uniform(-1, 1, (1, rows, n)).astype(np.float32) for n in (3, 2))  # type: ignore[return-value]


def test_two_steps_by_hand() -> None:
    """h = tanh(2x + h/2): tanh(2), then tanh(−2 + tanh(2)/2)."""
    W, R = np.full((1, 1, 1), 2, np.float32), np.full((1, 1, 1), 0.5, np.float32)
    found = model("RNN", W, R, (2, 1, 1)).graph(torch.tensor([[1.0, -1.0]], dtype=torch.float64))
    assert found[0].tolist() == pytest.approx([tanh(2), tanh(-2 + tanh(2) / 2)], rel=1e-14)


@pytest.mark.parametrize("op", GATES)
def test_the_batch_axis_first_is_the_same_layer_turned(op: str) -> None:
    W, R = weights(op)
    x = torch.rand(1, 4, 2, 3, dtype=torch.float64)
    plain = model(op, W, R, (4, 2, 3)).graph(x.flatten(1)).reshape(4, 1, 2, 2)
    turned = model(op, W, R, (2, 4, 3), layout=1).graph(x.transpose(1, 2).flatten(1)).reshape(2, 4, 1, 2)
    torch.testing.assert_close(turned, plain.permute(2, 0, 1, 3))


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("radius", [0.0, 0.1, 1e3])
def test_bounds_hold_for_samples(op: str, radius: float) -> None:
    graph = model(op, *weights(op), (3, 1, 3)).graph
    centre = torch.linspace(-1, 1, 9, dtype=torch.float64)
    lower, upper = centre - radius, centre + radius
    ends = interval.bounds_of_values(graph, lower[None], upper[None])
    low, high = (graph.join_outputs({v: ends[v][k] for v in graph.outputs}) for k in (0, 1))
    y = graph(lower + torch.rand(200, 9, dtype=torch.float64) * (upper - lower))
    assert bool((low <= y).all() & (y <= high).all())
    assert bool((high - low <= 6 + 1e-12).all())  # of GRU, a half of it for each step
    assert radius or bool((high - low < 1e-10).all())


@pytest.mark.parametrize(
    ("op", "attributes", "why"),
    [
        ("LSTM", {"input_forget": 1}, "node 'cell' .LSTM.: an input gate coupled to the forget gate is not"),
        ("RNN", {"activations": ["Affine"]}, "node 'cell' .RNN.: the activation 'Affine' inside a cell is"),
    ],
)
def test_refusals_name_node_and_cause(op: str, attributes: dict[str, Any], why: str) -> None:
    with pytest.raises(UnsupportedModelError, match=why):
        model(op, *weights(op), (2, 1, 3), **attributes)


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"direction": "bidirectional"}, "needs weights for 2 directions"),
        ({"activations": ["Sigmoid"]}, "names 1 activations, needs 3 for each direction"),
    ],
)
def test_what_does_not_fit_is_an_error(attributes: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelError, match=why):
        model("LSTM", *weights("LSTM"), (2, 1, 3), **attributes)
