# SPDX-License-Identifier: Apache-2.0
"""Zonotopes over boxes that overflow, and rows over outputs of which nothing is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from vnnverify_abstract_domains.propagation import Outputs, propagate
from vnnverify_abstract_domains.rules import domain
from vnnverify_abstract_domains.zonotope import Symbols, Zonotope

from vnnverify import Deadline
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph
from vnnverify.testing import check_overflow

NAN, INF = float("nan"), float("inf")


def outputs(graph: Graph, lower: Tensor, upper: Tensor) -> Outputs:
    return propagate(domain.prepare(graph), lower, upper, 1 << 30, Deadline.never())


def both_signs(B: int, m: int, dtype: torch.dtype) -> Specification:
    """Rows +y and −y in each box."""
    C = torch.cat([torch.eye(m), -torch.eye(m)]).to(dtype).expand(B, -1, -1)
    zero = torch.zeros(B, 2 * m, dtype=dtype)
    member = torch.ones(B, 1, 2 * m, dtype=torch.bool)
    return Specification(C, zero, zero.bool(), member, member[:, :, 0])


def ends(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    found = outputs(graph, lower, upper).value
    return found.lower, found.upper


def rows(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    found = outputs(graph, lower, upper).bound(both_signs(len(lower), graph.output_size, lower.dtype))[0]
    low, negated = found.split(graph.output_size, dim=1)
    return low, -negated


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("what", [ends, rows])
def test_zonotopes_hold_over_huge_boxes(what: object, dtype: torch.dtype) -> None:
    records = check_overflow(what, dtype, name="zonotopes")  # type: ignore[arg-type]
    assert sum(record.status == "passed" for record in records) > 50


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("part", ["centre", "generators", "error", "reach", "lower", "upper"])
def test_strange_outputs_prove_nothing(part: str, value: float) -> None:
    parts = {
        "centre": torch.zeros(1, 2),
        "generators": torch.ones(1, 1, 2),
        "error": torch.zeros(1, 2),
        "reach": torch.ones(1, 2),
        "lower": -torch.ones(1, 2),
        "upper": torch.ones(1, 2),
    }
    parts[part] = torch.full_like(parts[part], value)
    found = Outputs(
        Zonotope(**parts), torch.tensor([0]), torch.ones(1, 1), Symbols(torch.ones(1, 1, 1), 1 << 20)
    )
    spec = both_signs(1, 2, torch.float32)
    assert bool(spec.open_polytopes(found.bound(spec)[0]).all())
