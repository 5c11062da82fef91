# SPDX-License-Identifier: Apache-2.0
"""Parts of huge boxes where networks do something: uniform points of a box of 1e38 are nearly all as large as
that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import torch

from vnnverify import Clause

__all__ = ["HUGE", "with_inner_boxes"]

HUGE = 1e6
"""Width of an input's interval from which parts of it are tried."""
RADII = (1.0, 1e3, 1e9)
"""How far these reach from the number nearest to zero, relative to that where it is above one."""


def with_inner_boxes(clauses: Sequence[Clause]) -> list[Clause]:
    """The clauses, and those over parts of huge boxes: what is a witness there is one of the whole."""
    return [part for clause in clauses for part in (clause, *_parts(clause))]


def _parts(clause: Clause) -> Iterator[Clause]:
    lower, upper = clause.region.lower, clause.region.upper
    huge = upper / 2 - lower / 2 > HUGE / 2
    if not bool(huge.any()):
        return
    centre = torch.zeros_like(lower).clamp(lower, upper)
    for radius in RADII:
        reach = radius * centre.abs().clamp(min=1.0)
        low = torch.where(huge, torch.maximum(lower, centre - reach), lower)
        high = torch.where(huge, torch.minimum(upper, centre + reach), upper)
        yield dataclasses.replace(clause, region=clause.region.within(low, high))
