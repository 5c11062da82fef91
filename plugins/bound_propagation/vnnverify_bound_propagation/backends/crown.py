# SPDX-License-Identifier: Apache-2.0
"""CROWN."""

from __future__ import annotations

from vnnverify.bounds.methods import Crown
from vnnverify.search import MethodBackend

__all__ = ["CrownBackend"]


class CrownBackend(MethodBackend):
    """Rows go back from the specification, and from the input of every nonlinear operator, over lines below
    and above each: for an open ReLU slope zero or one below, whichever encloses less, and the chord above.

    Source: Zhang et al., arXiv:1811.00866.
    """

    method = Crown()
