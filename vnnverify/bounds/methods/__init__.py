# SPDX-License-Identifier: Apache-2.0
"""The bounding methods that come with the framework, by name."""

from __future__ import annotations

from collections.abc import Mapping

from vnnverify.bounds.method import BoundMethod
from vnnverify.bounds.methods.alpha_crown import AlphaCrown
from vnnverify.bounds.methods.combined import Combined
from vnnverify.bounds.methods.crown import Crown
from vnnverify.bounds.methods.forward import Forward
from vnnverify.bounds.methods.intersection import Intersection
from vnnverify.bounds.methods.interval import IntervalMethod
from vnnverify.bounds.relaxation import LEAST_AREA, PARALLEL

__all__ = ["METHODS", "AlphaCrown", "Combined", "Crown", "Forward", "Intersection", "IntervalMethod"]

METHODS: Mapping[str, BoundMethod] = {
    method.name: method
    for method in (
        IntervalMethod(),
        Forward(),
        Crown("fast-lin", slopes=PARALLEL),
        Crown(),
        Crown("deeppoly", slopes=LEAST_AREA),
        Crown("crown-ibp", intermediate="interval"),
        AlphaCrown(),
        Combined(),
    )
}
