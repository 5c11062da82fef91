# SPDX-License-Identifier: Apache-2.0
"""Fast-Lin."""

from __future__ import annotations

from vnnverify.bounds.methods import Crown
from vnnverify.bounds.relaxation import PARALLEL
from vnnverify.search import MethodBackend

__all__ = ["FastLinBackend"]


class FastLinBackend(MethodBackend):
    """As CROWN, with parallel lines: the slope of the chord below and above.

    Source: Weng et al., arXiv:1804.09699; Wong and Kolter, arXiv:1711.00851.
    """

    method = Crown("fast-lin", slopes=PARALLEL)
