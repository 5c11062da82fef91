# SPDX-License-Identifier: Apache-2.0
"""Parts of a batch side by side, each on one core.

Torch's own operators leave cores idle: its float64 convolutions use one thread, and what threads within an
operator gain on a small batch they lose by waiting for each other at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["by_parts", "in_threads", "worthwhile_threads"]

ELEMENTS_PER_THREAD = 1 << 14
"""Numbers in the widest tensor of a part below which threads are in each other's way in Python."""

T = TypeVar("T")
R = TypeVar("R")


def worthwhile_threads(batch: int, elements: int, device: torch.device) -> int:
    """How many parts a batch of sub-problems is best cut into, whose widest tensor has so many elements each.
    One on a GPU."""
    if device.type != "cpu":
        return 1
    return max(1, min(torch.get_num_threads(), batch, batch * elements // ELEMENTS_PER_THREAD))


def in_threads(work: Callable[[T], object], parts: Sequence[T], at_most: int | None = None) -> None:
    """Call `work` for each part on as many threads as torch may use, with or without gradients as the caller
    computes: with them on the caller's thread alone, where parts that write to one tensor keep its history.

    The first exception is raised when all parts have been worked on.

    Args:
        at_most: most threads; None sets no limit.
    """
    allowed = torch.get_num_threads()
    threads = min(allowed if at_most is None else at_most, len(parts))
    if threads <= 1 or torch.is_grad_enabled():
        for part in parts:
            work(part)
        return

    def one(part: T) -> None:
        with torch.no_grad():
            work(part)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(one, parts))
    finally:
        torch.set_num_threads(allowed)


def by_parts(work: Callable[[Tensor, int], R], batch: int, elements: int, device: torch.device) -> list[R]:
    """What `work` makes of parts of a batch, side by side where that is worthwhile, in the batch's order.

    Args:
        work: given the indices of its part, and of how many parts it is one.
        batch: sub-problems, at least one.
        elements: of the widest tensor that each has.
    """
    parts = torch.arange(batch, device=device).chunk(worthwhile_threads(batch, elements, device))
    if len(parts) <= 1:
        return [work(part, 1) for part in parts]
    found: dict[int, R] = {}

    def one(k: int) -> None:
        found[k] = work(parts[k], len(parts))

    in_threads(one, range(len(parts)))
    return [found[k] for k in range(len(parts))]
