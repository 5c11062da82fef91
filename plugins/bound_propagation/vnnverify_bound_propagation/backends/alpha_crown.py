# SPDX-License-Identifier: Apache-2.0
"""α-CROWN."""

from __future__ import annotations

from vnnverify.bounds.methods import AlphaCrown
from vnnverify.search import MethodBackend

__all__ = ["AlphaCrownBackend"]


class AlphaCrownBackend(MethodBackend):
    """As CROWN, with slopes found by gradient ascent, for every row and every intermediate bound by itself.

    Source: Xu et al., arXiv:2011.13824.
    """

    method = AlphaCrown()
