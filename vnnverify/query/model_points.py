# SPDX-License-Identifier: Apache-2.0
"""How many points of a box a model can be given: those with a number of its input's type in every place."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from math import prod

import numpy as np

from vnnverify.query import Layout, Region, TensorSpec
from vnnverify.query.representable import FLOAT_TYPES, ends, is_whole, nearest, single

__all__ = ["Points", "points_in"]


class Points(enum.Enum):
    """What a box holds for a model."""

    NONE = enum.auto()
    """Some interval holds no number of its input's type."""
    BESIDE = enum.auto()
    """The same, but each such interval is one decimal, which the model reads as the nearest number, and no
    other interval holds more than one number."""
    ONE = enum.auto()
    """Every interval holds one."""
    SEVERAL = enum.auto()
    """Some interval holds more than one, and every other is one decimal at least."""


def points_in(region: Region, layout: Layout) -> Points:
    """What the box of a region, over the graph's inputs, holds. Types whose numbers are not known count as
    those of float32."""
    none = beside = several = False
    for spec, columns in _parts(layout):
        dtype = spec.dtype if spec.dtype in FLOAT_TYPES or is_whole(spec.dtype) else "float32"
        lower, upper = (end.detach().cpu().double().numpy()[columns] for end in (region.lower, region.upper))
        first, last = ends(lower, upper, dtype)
        lost = first > last
        decimal = single(lower, upper) & (not is_whole(dtype)) & np.isfinite(nearest(lower, dtype))
        none |= bool((lost & ~decimal).any())
        beside |= bool(lost.any())
        several |= bool((first < last).any())
    if none:
        return Points.NONE
    if beside and not several:
        return Points.BESIDE
    return Points.SEVERAL if several else Points.ONE


def _parts(layout: Layout) -> Iterator[tuple[TensorSpec, list[int]]]:
    """The models' inputs, and which of the graph's inputs their elements are."""
    start = 0
    for spec in layout.inputs:
        own = range(start, start + prod(spec.shape))
        start = own.stop
        yield spec, list(own if layout.columns is None else layout.columns[own.start : own.stop])
