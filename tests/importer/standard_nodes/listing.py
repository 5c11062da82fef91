# SPDX-License-Identifier: Apache-2.0
"""Which of the standard's tests the importer refuses, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from standard_nodes.judging import REFUSED, Outcome, outcomes

__all__ = ["refused", "table"]


def refused() -> list[Outcome]:
    """Tests that onnxruntime runs and the importer refuses, whose first input varies."""
    return sorted(
        (one for one in outcomes() if one.kind == REFUSED and not one.variant.index),
        key=lambda one: (one.variant.operator, one.why, one.variant.name),
    )


def table() -> Iterator[str]:
    """One row for each reason for which tests of an operator are refused."""
    yield "| first operator | tests | refused because |"
    yield "|---|---|---|"
    for (operator, why), group in groupby(refused(), key=lambda one: (one.variant.operator, one.why)):
        yield f"| {operator} | {_names([one.variant.name for one in group])} | {why} |"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name.removeprefix('test_')}`" for name in names)
