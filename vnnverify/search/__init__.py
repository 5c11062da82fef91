# SPDX-License-Identifier: Apache-2.0
"""Branch and bound, generic over the bounding domain."""

from vnnverify.search.input_split import Bounder, BoxBounds, InputSplit, SearchResult
from vnnverify.search.specification import Specification

__all__ = ["Bounder", "BoxBounds", "InputSplit", "SearchResult", "Specification"]
