# SPDX-License-Identifier: Apache-2.0
"""Branch and bound, generic over the bounding domain."""

from vnnverify.search.activation_split import (
    ActivationBounder,
    ActivationBounds,
    ActivationResult,
    ActivationSplit,
    Branches,
    bound_in_threads,
)
from vnnverify.search.input_split import Bounder, BoxBounds, InputSplit
from vnnverify.search.method_backend import MethodBackend, MethodOptions
from vnnverify.search.method_bounder import MethodBounder
from vnnverify.search.result import SearchResult
from vnnverify.search.zero_margins import without_zero_margins

__all__ = [
    "ActivationBounder",
    "ActivationBounds",
    "ActivationResult",
    "ActivationSplit",
    "Bounder",
    "BoxBounds",
    "Branches",
    "InputSplit",
    "MethodBackend",
    "MethodBounder",
    "MethodOptions",
    "SearchResult",
    "bound_in_threads",
    "without_zero_margins",
]
