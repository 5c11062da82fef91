# SPDX-License-Identifier: Apache-2.0
"""How many rows a backward pass takes at once."""

from __future__ import annotations

import torch

__all__ = ["COPIES", "rows_at_once"]

COPIES = 4
"""Copies of a row that are alive in a backward pass."""
CACHE_ELEMENTS = 1 << 19
"""Elements of one matrix of rows on a CPU; measured best between 2 and 4 MiB on a 2-core machine."""


def rows_at_once(
    memory: int, widest: int, dtype: torch.dtype, device: torch.device, copies: int = COPIES
) -> int:
    """Rows of one pass: within the memory in bytes, and on a CPU few enough that they stay in its caches.

    Args:
        widest: numbers that a row has at most.
        copies: of a row that are alive at once.
    """
    rows = memory // (copies * widest * torch.finfo(dtype).bits // 8)
    return max(64, min(rows, CACHE_ELEMENTS // widest) if device.type == "cpu" else rows)
