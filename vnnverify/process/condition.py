# SPDX-License-Identifier: Apache-2.0
"""What a job must leave in its process as it found it, for the next job to be answered there too."""

from __future__ import annotations

import os
import threading

__all__ = ["WATCHDOG", "condition", "cores"]

WATCHDOG = "watchdog"
"""Name of the thread that sees to a job's answer. It is the job's own, and may take a moment to end."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def condition() -> tuple[object, ...]:
    """What decides how numbers come out, and what else is running: equal as long as nothing has changed.

    The number of threads is no part of it; it is set anew for each job.
    """
    import psutil
    import torch

    least = torch.full((1,), 5e-324, dtype=torch.float64)
    threads = sorted(
        t.name
        for t in threading.enumerate()
        if not isinstance(t, threading._DummyThread) and t.name != WATCHDOG
    )
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        float((least * 1.0)[0]),  # zero if the smallest numbers are flushed
        _rounding(1.0, 2.0**-53),
        dict(os.environ),
        os.getcwd(),
        threads,
        sorted(child.pid for child in psutil.Process().children()),
    )


def _rounding(one: float, half: float) -> tuple[float, float]:
    """Sums that come out differently where the processor does not round to nearest."""
    return one + half, -one - half
