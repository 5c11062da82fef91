# SPDX-License-Identifier: Apache-2.0
"""Which operators of a model the importer cannot read, all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from vnnverify.importer.parsing import parse
from vnnverify.importer.registry import find_reader
from vnnverify.importer.sequences import SEQUENCES
from vnnverify.plugin.hookspecs import OperatorInfo

__all__ = ["unsupported_operators"]

_WITHOUT_READER = ("Constant", "EyeLike", "If", "Loop", "Scan", "SequenceMap", "Shape", "Size", *SEQUENCES)
"""Operators that the importer itself reads."""


def unsupported_operators(data: bytes, operators: Iterable[OperatorInfo] = ()) -> dict[str, int]:
    """Operator names with the number of nodes, for operators that have no reader. Some of those nodes
    may only compute constants and would be folded.

    Raises:
        ModelError: the model is malformed.
    """
    proto = parse(data).proto
    opsets = {entry.domain or "": entry.version for entry in proto.opset_import}
    more = tuple(operators)
    counts = Counter(
        f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        for node in proto.graph.node
        if node.op_type not in _WITHOUT_READER
        and find_reader(node.domain, node.op_type, opsets.get(node.domain, 1), more) is None
    )
    return dict(counts.most_common())
