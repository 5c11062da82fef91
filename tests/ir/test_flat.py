# SPDX-License-Identifier: Apache-2.0
"""Values without any axis of their own flatten to one element per point, everywhere."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from vnnverify_bound_propagation.backends.bound_propagation import BoundPropagation

from vnnverify.deadline import Deadline
from vnnverify.domains import interval
from vnnverify.ir import flat
from vnnverify.loading.loader import load_query
from vnnverify.plugin.backend import Context
from vnnverify.verdict import Verdict

PROPERTY = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real)
(assert (>= X_0 -1)) (assert (<= X_0 1)) (assert (>= X_1 -1)) (assert (<= X_1 1))
(assert (>= Y_0 30))
"""


@pytest.mark.parametrize(
    ("shape", "size"), [((4,), 1), ((4, 3), 3), ((4, 3, 2), 6), ((1,), 1), ((4, 1, 1), 1)]
)
def test_flat_keeps_the_batch(shape: tuple[int, ...], size: int) -> None:
    x = torch.arange(torch.Size(shape).numel()).reshape(shape)
    assert flat(x).shape == (shape[0], size)
    assert flat(x).reshape(-1).tolist() == x.reshape(-1).tolist()


def scalar_network(op: str) -> onnx.ModelProto:
    """x (2,) -> relu(reduce(relu(x W))), a value of shape ()."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node(op, ["r"], ["s"], keepdims=0),
        helper.make_node("Relu", ["s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "scalar",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        [numpy_helper.from_array(np.array([[1, 2], [3, -4]], np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMean", "ReduceMin"])
def test_scalars_are_bounded_and_verified(op: str, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(scalar_network(op).SerializeToString())
    (tmp_path / "p.vnnlib").write_text(PROPERTY)
    query = load_query(str(tmp_path / "net.onnx"), str(tmp_path / "p.vnnlib"))
    (clause,) = query.clauses
    y = query.graph(clause.region.sample(200, torch.Generator().manual_seed(0)))
    assert query.graph.outputs[0].shape == ()
    assert y.shape == (200, 1)
    lower, upper = interval.bounds(query.graph, clause.region)
    assert bool(((y >= lower) & (y <= upper)).all())
    context = Context(
        deadline=Deadline.after(20),
        device=torch.device("cpu"),
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
        logger=logging.getLogger(__name__),
        confirm=lambda x: query.source.replay(x).valid,
    )
    assert BoundPropagation().verify(query, context).verdict is Verdict.UNSAT
