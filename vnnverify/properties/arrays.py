# SPDX-License-Identifier: Apache-2.0
"""What users have at hand (arrays, tensors, nested lists, numbers) as float64 arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from vnnverify.errors import SpecError

__all__ = ["as_array", "as_rows"]


def as_array(value: Any, what: str) -> np.ndarray:
    """The value as a float64 array of its own.

    Raises:
        SpecError: it holds anything but finite numbers.
    """
    if hasattr(value, "detach"):  # a torch tensor, wherever it lies
        value = value.detach().cpu().double().numpy()
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{what} is not an array of numbers ({error})") from None
    if not np.isfinite(array).all():
        raise SpecError(f"{what} holds a number that is not finite")
    return array


def as_rows(A: Any, b: Any, names: str = "A and b") -> tuple[np.ndarray, np.ndarray]:
    """A as (rows, n) and b as (rows,); one row may be given without its first axis, and b as a number.

    Raises:
        SpecError: the shapes do not fit, or there is no row.
    """
    A, b = np.atleast_2d(as_array(A, names)), np.atleast_1d(as_array(b, names))
    if A.ndim != 2 or b.ndim != 1 or len(b) not in (1, len(A)) or not A.size:
        raise SpecError(f"{names} have shapes {A.shape} and {b.shape}; expected (rows, n) and (rows,)")
    return A, np.broadcast_to(b, (len(A),)).copy()
