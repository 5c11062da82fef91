# SPDX-License-Identifier: Apache-2.0
"""A region of inputs: a box, perhaps cut by linear rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vnnverify.properties.text import Names, box, row

__all__ = ["Region"]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """All x with lower <= x <= upper and A x <= b."""

    lower: np.ndarray  # (n,)
    upper: np.ndarray  # (n,)
    rows: tuple[tuple[np.ndarray, float], ...] = ()

    def text(self, names: Names) -> list[str]:
        """The region as VNN-LIB expressions, all of which hold in it."""
        return box(names, self.lower, self.upper) + [row(names, a, "<=", b) for a, b in self.rows]
