# SPDX-License-Identifier: Apache-2.0
"""Bounds of networks over regions, as a library: methods are values that can be named, combined and compared.

The package can be called: `vnnverify.bounds(model, region, method="crown")`, see `compute.bounds`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from vnnverify.bounds.method import (
    BoundMethod,
    Bounds,
    LinearFunction,
    Record,
    Resources,
    ValueBounds,
)
from vnnverify.bounds.methods import (
    METHODS,
    AlphaCrown,
    Combined,
    Crown,
    Forward,
    Intersection,
    IntervalMethod,
)
from vnnverify.bounds.relaxation import JointRows, JointRule, SlopeRule
from vnnverify.bounds.specification import Specification

__all__ = [
    "METHODS",
    "AlphaCrown",
    "BoundMethod",
    "Bounds",
    "Combined",
    "Crown",
    "Forward",
    "Intersection",
    "IntervalMethod",
    "JointRows",
    "JointRule",
    "LinearFunction",
    "Record",
    "Resources",
    "SlopeRule",
    "Specification",
    "ValueBounds",
]


class _Callable(ModuleType):
    """The package, of which a function of the same name is the front door."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from vnnverify.bounds.compute import bounds

        return bounds(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
