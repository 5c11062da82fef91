# SPDX-License-Identifier: Apache-2.0
"""Many nodes as few rows: those that follow each other in one module become one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from vnnverify.diagnosis.coverage.model import NodeCoverage

__all__ = ["NodeGroup", "groups"]


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Nodes that follow each other and whose names begin with the same parts."""

    name: str  # what is common to their names; of a single node its own
    nodes: tuple[NodeCoverage, ...]

    @property
    def operators(self) -> dict[str, int]:
        """How many nodes of each operator, most frequent first."""
        return dict(Counter(node.operator for node in self.nodes).most_common())

    @property
    def parameters(self) -> int:
        """Those of all its nodes."""
        return sum(node.parameters for node in self.nodes)

    @property
    def bounded(self) -> tuple[str, ...]:
        """The ways in which its nodes are bounded, in order."""
        return tuple(dict.fromkeys(node.bounded for node in self.nodes))


def groups(nodes: Sequence[NodeCoverage], most: int) -> list[NodeGroup]:
    """The nodes in at most `most` groups, as finely as that goes: by the whole name (one ONNX node may have
    become many), by all but the last part of `/encoder/layer/MatMul`, and so on. Where even the first parts
    are too many, the groups are those of the first parts.
    """
    if len(nodes) <= most:
        return [NodeGroup(node.name, (node,)) for node in nodes]
    found: list[NodeGroup] = []
    for depth in range(max(len(_parts(node.name)) for node in nodes), 0, -1):
        found = _grouped(nodes, depth)
        if len(found) <= most:
            break
    return found


def _grouped(nodes: Sequence[NodeCoverage], depth: int) -> list[NodeGroup]:
    """The nodes by the first `depth` parts of their names."""
    found = []
    for prefix, each in groupby(nodes, lambda node: _parts(node.name)[:depth]):
        members = tuple(each)
        name = members[0].name if len(members) == 1 else "/".join(prefix)
        found.append(NodeGroup(name, members))
    return found


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.strip("/").split("/"))
