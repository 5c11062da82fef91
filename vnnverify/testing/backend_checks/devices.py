# SPDX-License-Identifier: Apache-2.0
"""What is true on the CPU is true on the GPU."""

from __future__ import annotations

from typing import Any

import torch

from vnnverify.plugin.backend import Backend
from vnnverify.testing.records import CheckSkipped, demand, for_each
from vnnverify.testing.subject import Settings, answer, context, supported_zoo
from vnnverify.testing.zoo import Specimen
from vnnverify.verdict import Verdict

__all__ = ["check_cuda_agrees"]


def check_cuda_agrees(backend: Backend[Any], settings: Settings) -> None:
    """On CUDA the zoo's truth is not contradicted either, and device memory returns to its start."""
    if not torch.cuda.is_available():
        raise CheckSkipped("there is no CUDA device")

    def check(specimen: Specimen) -> None:
        """The truth, and the memory before and after, of one specimen on CUDA."""
        before = torch.cuda.memory_allocated()
        ctx = context(specimen.query, settings.seconds, device="cuda", dtype=settings.dtype)
        outcome = answer(backend, specimen.query, ctx, specimen.name, settings.grace)
        demand(
            not outcome.verdict.decided or outcome.verdict is specimen.truth,
            f"{specimen.name}: said {outcome.verdict.value} on CUDA, but it is {specimen.truth.value}",
        )
        if outcome.verdict is Verdict.SAT:
            demand(outcome.witness is not None, f"{specimen.name}: said sat without a witness")
        del outcome, ctx
        torch.cuda.synchronize()
        demand(torch.cuda.memory_allocated() <= before, f"{specimen.name}: device memory was not freed")

    for_each([s for s in supported_zoo(backend) if not s.tight], check)
