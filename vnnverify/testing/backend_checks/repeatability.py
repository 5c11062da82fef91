# SPDX-License-Identifier: Apache-2.0
"""The same seed gives the same answer."""

from __future__ import annotations

from typing import Any

import torch

from vnnverify.plugin.backend import Backend
from vnnverify.testing.records import demand, for_each
from vnnverify.testing.subject import Settings, ask, context, supported_zoo
from vnnverify.testing.zoo import Specimen
from vnnverify.verdict import Verdict

__all__ = ["check_repeatable"]

SEED = 12345


def check_repeatable(backend: Backend[Any], settings: Settings) -> None:
    """Two runs with one seed agree in verdict and witness, unless the clock ended one of them."""

    def check(specimen: Specimen) -> None:
        """Two runs on one specimen."""
        runs = []
        for _ in range(2):
            seconds = settings.time_for(specimen)
            ctx = context(specimen.query, seconds, dtype=settings.dtype, seed=SEED)
            runs.append(ask(backend, specimen.query, ctx, specimen.name))
            if ctx.deadline.expired or runs[-1].verdict is Verdict.TIMEOUT:
                return
        first, second = runs
        demand(
            first.verdict is second.verdict,
            f"{specimen.name}: {first.verdict.value}, then {second.verdict.value} with the same seed",
        )
        if first.witness is not None and second.witness is not None:
            demand(
                torch.equal(first.witness, second.witness),
                f"{specimen.name}: two witnesses with the same seed",
            )

    for_each([s for s in supported_zoo(backend) if not s.tight][::3], check)
