# SPDX-License-Identifier: Apache-2.0
"""CROWN-IBP."""

from __future__ import annotations

from vnnverify.bounds.methods import Crown
from vnnverify.search import MethodBackend

__all__ = ["CrownIbpBackend"]


class CrownIbpBackend(MethodBackend):
    """Intervals inside the network, one backward pass for the specification.

    Source: Zhang et al., arXiv:1906.06316.
    """

    method = Crown("crown-ibp", intermediate="interval")
