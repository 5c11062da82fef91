# SPDX-License-Identifier: Apache-2.0
"""What every affine operator states about itself must be true: adjoint, magnitude, fan counts, offset."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from node_cases import Case
from torch import Tensor

from vnnverify.ir import Affine, Node


def affine_nodes(case: Case) -> list[Node]:
    """Affine nodes of the model with inputs, parts of composite operators included."""
    found = []
    for node in case.model.graph.nodes:
        parts = node.op.decompose(*(v.shape for v in node.inputs))
        found.extend(parts.nodes if parts is not None else [node])
    return [n for n in found if isinstance(n.op, Affine) and n.inputs]


def matrix(node: Node, apply: Any) -> Tensor:
    """The map as a dense matrix (out, in), column by column."""
    sizes = [v.size for v in node.inputs]
    unit = torch.eye(sum(sizes), dtype=torch.float64)
    parts = torch.split(unit, sizes, dim=1)
    columns = apply(*(p.reshape(-1, *v.shape) for p, v in zip(parts, node.inputs, strict=True)))
    return columns.reshape(sum(sizes), -1).T


def adjoint_matrix(node: Node) -> Tensor:
    """The adjoint's result on unit rows: (out, in)."""
    unit = torch.eye(node.output.size, dtype=torch.float64).reshape(-1, *node.output.shape)
    parts = node.op.adjoint(unit, *(v.shape for v in node.inputs))  # type: ignore[attr-defined]
    assert [tuple(p.shape[1:]) for p in parts] == [v.shape for v in node.inputs]
    return torch.cat([p.reshape(node.output.size, -1) for p in parts], dim=1)


def test_adjoint_is_the_transpose(case: Case) -> None:
    for node in affine_nodes(case):
        W = matrix(node, node.op.linear)
        torch.testing.assert_close(adjoint_matrix(node), W, rtol=1e-12, atol=1e-12)
        default = Affine.adjoint(
            node.op, torch.ones(1, *node.output.shape, dtype=torch.float64), *shapes(node)
        )
        flat = torch.cat([p.flatten() for p in default])
        torch.testing.assert_close(flat, W.sum(dim=0), rtol=1e-12, atol=1e-12)


def shapes(node: Node) -> list[tuple[int, ...]]:
    return [v.shape for v in node.inputs]


def test_magnitude_is_the_map_of_absolute_weights(case: Case) -> None:
    for node in affine_nodes(case):
        W = matrix(node, node.op.linear)
        M = matrix(node, node.op.magnitude)
        torch.testing.assert_close(M, W.abs(), rtol=1e-12, atol=1e-12)


def test_fan_counts_cover_the_products(case: Case) -> None:
    for node in affine_nodes(case):
        W = matrix(node, node.op.linear)
        per_output = int((W != 0).sum(dim=1).max()) if W.numel() else 0
        per_input = int((W != 0).sum(dim=0).max()) if W.numel() else 0
        op = node.op
        if op.fan_in == 0:
            assert per_output <= 1
            assert bool(((W == 0) | (W == 1)).all())
        else:
            assert op.fan_in >= per_output
        if op.fan_out == 0:
            assert per_input <= 1
            assert bool(((W == 0) | (W.abs() == 1)).all())
        else:
            assert op.fan_out >= per_input


def test_value_is_linear_part_plus_offset(case: Case) -> None:
    for node in affine_nodes(case):
        generator = torch.Generator().manual_seed(3)
        xs = [torch.randn(2, *v.shape, generator=generator, dtype=torch.float64) for v in node.inputs]
        offset = 0.0 if node.op.offset is None else node.op.offset
        torch.testing.assert_close(node.op(*xs), node.op.linear(*xs) + offset, rtol=0, atol=1e-12)
        if node.op.offset is not None:
            assert torch.broadcast_shapes(node.op.offset.shape, node.output.shape) == node.output.shape
            assert node.op.fan_in > 0
        assert not node.op.linear(*(torch.zeros_like(x) for x in xs)).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adjoint_law_in_both_types(case: Case, dtype: torch.dtype) -> None:
    for node in affine_nodes(case):
        op = node.op.to("cpu", dtype)
        generator = torch.Generator().manual_seed(5)
        xs = [torch.randn(3, *v.shape, generator=generator).to(dtype) for v in node.inputs]
        y = torch.randn(3, *node.output.shape, generator=generator).to(dtype)
        left = (op.linear(*xs) * y).reshape(3, -1).sum(1)
        back = op.adjoint(y, *shapes(node))
        right = sum((b * x).reshape(3, -1).sum(1) for b, x in zip(back, xs, strict=True))
        assert left.dtype == dtype
        size = prod(node.output.shape) + 1
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5 * size)


def test_what_grows_with_every_input_has_no_negative_weight(case: Case) -> None:
    for node in affine_nodes(case):
        grows = torch.as_tensor(node.op.increasing).expand(node.output.shape).reshape(-1)
        W = matrix(node, node.op.linear)
        assert bool((W[grows] >= 0).all())
