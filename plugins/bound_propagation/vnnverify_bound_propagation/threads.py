# SPDX-License-Identifier: Apache-2.0
"""Work on the cores that torch's own operators leave idle: its float64 convolutions use one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["in_threads"]

T = TypeVar("T")


def in_threads(work: Callable[[T], None], parts: Sequence[T], at_most: int | None = None) -> None:
    """Call `work` for each part, without gradients, on as many threads as torch may use.

    The first exception is raised when all parts have been worked on.

    Args:
        at_most: most threads; None sets no limit.
    """
    allowed = torch.get_num_threads()
    threads = min(allowed if at_most is None else at_most, len(parts))

    def one(part: T) -> None:
        with torch.no_grad():
            work(part)

    if threads <= 1:
        for part in parts:
            one(part)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(one, parts))
    finally:
        torch.set_num_threads(allowed)
