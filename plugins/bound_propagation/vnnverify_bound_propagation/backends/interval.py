# SPDX-License-Identifier: Apache-2.0
"""Interval bound propagation."""

from __future__ import annotations

from vnnverify.bounds.methods import IntervalMethod
from vnnverify.search import MethodBackend

__all__ = ["IntervalBackend"]


class IntervalBackend(MethodBackend):
    """One lower and one upper bound of each neuron.

    Source: Gowal et al., arXiv:1810.12715.
    """

    method = IntervalMethod()
