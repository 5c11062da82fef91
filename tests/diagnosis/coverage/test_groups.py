# SPDX-License-Identifier: Apache-2.0
"""Nodes as rows: as finely as they fit, in the order of the graph, and none is lost."""

from __future__ import annotations

import pytest

from vnnverify.diagnosis.coverage import NodeCoverage, groups


def nodes(names: str) -> list[NodeCoverage]:
    return [NodeCoverage(name, f"Op{k % 2}", (k,), k, "exact") for k, name in enumerate(names.split())]


@pytest.mark.parametrize(
    ("names", "most", "expected"),
    [
        ("a b a", 3, "a b a"),
        ("lstm lstm lstm head", 3, "lstm*3 head"),
        ("a b a", 2, "a b a"),
        ("/e/0/Add /e/0/Mul /e/1/Add /h/Add", 3, "e/0*2 /e/1/Add /h/Add"),
        ("/e/0/Add /e/0/Mul /e/1/Add /h/Add", 2, "e*3 /h/Add"),
        ("/e/0/Add /e/0/Mul /h/Add /e/1/Add", 3, "e/0*2 /h/Add /e/1/Add"),
        ("/e/Add /e/Add x", 2, "e/Add*2 x"),
        ("", 2, ""),
    ],
)
def test_names_and_sizes(names: str, most: int, expected: str) -> None:
    given = nodes(names)
    found = groups(given, most)
    sizes = [f"{g.name}*{len(g.nodes)}" if len(g.nodes) > 1 else g.name for g in found]
    assert " ".join(sizes) == expected
    assert [node for group in found for node in group.nodes] == given


def test_sums_of_a_group() -> None:
    (group,) = groups(nodes("a a a"), 1)
    assert (group.operators, group.parameters, group.bounded) == ({"Op0": 2, "Op1": 1}, 3, ("exact",))
