# SPDX-License-Identifier: Apache-2.0
"""Operators with random attributes, each added to a draft of a model. What a runtime refuses is left out."""

from __future__ import annotations

from collections.abc import Callable

from arranging import ARRANGING
from draft import Draft
from elementwise import ELEMENTWISE
from layers import LAYERS
from reducing import REDUCING

__all__ = ["CATALOGUE"]

CATALOGUE: dict[str, Callable[[Draft], None]] = ELEMENTWISE | REDUCING | ARRANGING | LAYERS
