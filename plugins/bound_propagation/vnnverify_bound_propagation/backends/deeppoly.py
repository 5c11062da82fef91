# SPDX-License-Identifier: Apache-2.0
"""DeepPoly."""

from __future__ import annotations

from vnnverify.bounds.methods import Crown
from vnnverify.bounds.relaxation import LEAST_AREA
from vnnverify.search import MethodBackend

__all__ = ["DeepPolyBackend"]


class DeepPolyBackend(MethodBackend):
    """As CROWN, with the lines that enclose the smallest area.

    Source: Singh et al., An abstract domain for certifying neural networks, POPL 2019.
    """

    method = Crown("deeppoly", slopes=LEAST_AREA)
