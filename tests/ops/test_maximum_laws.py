# SPDX-License-Identifier: Apache-2.0
"""The groups of a maximum say which elements each output is the largest of."""

from __future__ import annotations

import torch
from node_cases import Case

from vnnverify.ir import Maximum


def test_value_is_the_largest_member(case: Case) -> None:
    nodes = [n for n in case.model.graph.nodes if isinstance(n.op, Maximum)]
    for node in nodes:
        generator = torch.Generator().manual_seed(9)
        xs = [torch.randn(4, *v.shape, generator=generator, dtype=torch.float64) - 3 for v in node.inputs]
        groups = node.op.groups(*(v.shape for v in node.inputs))
        flat = torch.cat([x.flatten(1) for x in xs], dim=1)
        assert groups.shape[0] == node.output.size
        assert int(groups.min()) >= 0
        assert int(groups.max()) < flat.shape[1]
        torch.testing.assert_close(node.op(*xs).flatten(1), flat[:, groups].amax(dim=2), rtol=0, atol=0)
    assert all(n.op.kind in {"Max", "MaxPool", "ReduceMax"} for n in nodes)
