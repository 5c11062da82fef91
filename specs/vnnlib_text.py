# SPDX-License-Identifier: Apache-2.0
"""Writes VNN-LIB 1.0 texts: declarations, a comment on top, boxes and rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["box", "conjunction", "disjunction", "write_property"]

HERE = Path(__file__).parent


def box(lower: Sequence[float], upper: Sequence[float]) -> list[str]:
    """Two bounds for every input, as many digits as the numbers are given with."""
    rows = []
    for index, (low, high) in enumerate(zip(lower, upper, strict=True)):
        rows += [f"(>= X_{index} {low!r})", f"(<= X_{index} {high!r})"]
    return rows


def conjunction(rows: Iterable[str]) -> str:
    """(and …)"""
    return f"(and {' '.join(rows)})"


def disjunction(parts: Iterable[str]) -> str:
    """(or …), one part per line."""
    lines = "\n".join(f"  {part}" for part in parts)
    return f"(or\n{lines}\n)"


def write_property(name: str, comment: str, inputs: int, outputs: int, assertions: Iterable[str]) -> None:
    """Write `<name>.vnnlib` beside this script, one assertion per row."""
    lines = [f"; {line}" for line in comment.splitlines()]
    lines += [f"(declare-const X_{index} Real)" for index in range(inputs)]
    lines += [f"(declare-const Y_{index} Real)" for index in range(outputs)]
    lines += [f"(assert {row})" for row in assertions]
    (HERE / f"{name}.vnnlib").write_text("\n".join(lines) + "\n", encoding="utf-8")
