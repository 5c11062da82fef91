# SPDX-License-Identifier: Apache-2.0
"""What of a model can be worked with: how each node is bounded, and which backends take it."""

from vnnverify.coverage.answers import BackendAnswer, provers
from vnnverify.coverage.model import ClauseSize, Coverage, NodeCoverage, coverage_of, unreadable
from vnnverify.coverage.treatment import treatment

__all__ = [
    "BackendAnswer",
    "ClauseSize",
    "Coverage",
    "NodeCoverage",
    "coverage_of",
    "provers",
    "treatment",
    "unreadable",
]
