# SPDX-License-Identifier: Apache-2.0
"""Branch and bound, generic over the bounding domain."""

from vnnverify.search.activation_split import (
    ActivationBounder,
    ActivationBounds,
    ActivationResult,
    ActivationSplit,
    Branches,
)
from vnnverify.search.input_split import Bounder, BoxBounds, InputSplit, SearchResult
from vnnverify.search.specification import Specification

__all__ = [
    "ActivationBounder",
    "ActivationBounds",
    "ActivationResult",
    "ActivationSplit",
    "Bounder",
    "BoxBounds",
    "Branches",
    "InputSplit",
    "SearchResult",
    "Specification",
]
