# SPDX-License-Identifier: Apache-2.0
"""Boxes of inputs that hold whole numbers only: cut to what their types hold, and split where that is
little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import torch

from vnnverify.query import Region
from vnnverify.query.representable import EXACT_WHOLE, whole_range

__all__ = ["MOST_CASES", "keep_to_types", "split_whole"]

MOST_CASES = 64
"""Clauses up to which those about several whole numbers become one for each of them."""


def keep_to_types(types: Mapping[int, str], lower: np.ndarray, upper: np.ndarray) -> None:
    """Cut boxes (boxes, n) in place to the range of their inputs' types, and inward to whole numbers.

    An interval without any of them is left with its ends crossed.

    Args:
        types: those of the inputs that hold whole numbers, by their index.
    """
    for dtype in dict.fromkeys(types.values()):
        columns = [k for k, kind in types.items() if kind == dtype]
        least, most = whole_range(dtype)
        beyond = float(most)  # 2^63 for 2^63 − 1: rounded outward
        low = np.ceil(np.maximum(lower[:, columns], float(least)))
        past = (low >= beyond) & (beyond > most)
        high = np.floor(np.minimum(upper[:, columns], beyond))
        lower[:, columns], upper[:, columns] = low, np.where(past, np.nextafter(beyond, 0.0), high)


def split_whole(types: Mapping[int, str], regions: list[Region]) -> Iterator[tuple[int, Region]]:
    """The parts of the regions in which as many whole-number inputs as possible have one value each, and the
    number of the region that each part is of. The inputs with the fewest values go first. There are
    `MOST_CASES` parts at most, unless there are more regions."""
    if not types or not regions:
        yield from enumerate(regions)
        return
    columns = np.array(sorted(types))
    room = MOST_CASES // len(regions)
    for number, region in enumerate(regions):
        low, high = region.lower.numpy()[columns], region.upper.numpy()[columns]
        count = high - low + 1
        varying = np.flatnonzero((count > 1) & (np.maximum(abs(low), abs(high)) < EXACT_WHOLE))
        chosen: list[int] = []
        parts = 1.0
        for k in varying[np.argsort(count[varying], kind="stable")].tolist():
            parts *= count[k]
            if parts > room:
                break
            chosen.append(k)
        if not chosen:
            yield number, region
            continue
        place = torch.from_numpy(columns[chosen])
        for values in product(*(range(int(low[k]), int(high[k]) + 1) for k in chosen)):
            value = torch.tensor(values, dtype=torch.float64)
            lower, upper = (end.index_copy(0, place, value) for end in (region.lower, region.upper))
            yield number, region.within(lower, upper)
