# SPDX-License-Identifier: Apache-2.0
"""Branch and bound, generic over the bounding domain."""

from vnnverify.search.input_split import BoxBounds, Bounder, InputSplit, SearchResult
from vnnverify.search.specification import Specification

__all__ = ["BoxBounds", "Bounder", "InputSplit", "SearchResult", "Specification"]
