# SPDX-License-Identifier: Apache-2.0
"""Rounding errors of the steps of a backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.domains.relaxation import Lines
from vnnverify.ir import flat
from vnnverify.numerics import gamma, relative_error

__all__ = ["line_error", "long_sum", "split_error", "sum_error"]

LONG_SUM, SHORT_SUM = 512, 32
"""Terms from which on a sum of float32 products is taken in parts, and the terms of such a part; the parts
are added in float64."""


def long_sum(products: Tensor) -> Tensor:
    """Σ over all but the first axis of products (R, …), with a relative error of `sum_error`: (R,)."""
    terms = flat(products)
    count = terms.shape[1]
    if count <= LONG_SUM or terms.dtype == torch.float64:
        return terms.sum(dim=1)
    whole = count - count % SHORT_SUM
    parts = terms[:, :whole].reshape(len(terms), SHORT_SUM, -1).sum(dim=1)
    rest = terms[:, whole:].sum(dim=1, dtype=torch.float64)
    total: Tensor = parts.sum(dim=1, dtype=torch.float64) + rest
    return total.to(products.dtype)


def sum_error(terms: int, dtype: torch.dtype) -> float:
    """Relative error of a sum of so many products of numbers in `dtype`, see `numerics.gamma`."""
    if terms <= LONG_SUM or dtype == torch.float64:
        return gamma(terms, dtype)
    return gamma(SHORT_SUM + 2, dtype) + gamma(terms, torch.float64)


def line_error(lines: Lines, size: Tensor, terms: int) -> Tensor:
    """Rounding error of one backward step through an elementwise node, per unit of its coefficient.

    Products with the slopes are rounded once; the sum with the offsets is a long one.

    Args:
        size: the largest |input| of each element.
        terms: elements of the node.
    """
    slope = torch.maximum(lines.below_slope.abs(), lines.above_slope.abs())
    offset = torch.maximum(lines.below_offset.abs(), lines.above_offset.abs())
    return 2 * relative_error(size.dtype) * slope * size + sum_error(terms, size.dtype) * offset


def split_error(rows: Tensor, taken: Tensor, size: Tensor) -> Tensor:
    """Rounding error (R,) of taking multipliers from rows (R, …), for values of at most this size."""
    terms = (rows.abs() + taken.abs()) * size.masked_fill(taken == 0, 0.0)
    return 3 * relative_error(rows.dtype) * flat(terms).sum(dim=1)
