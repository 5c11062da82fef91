# SPDX-License-Identifier: Apache-2.0
"""What of a model can be worked with: how each node is bounded, and which backends take it."""

from vnnverify.diagnosis.coverage.answers import BackendAnswer, provers, untried_backends
from vnnverify.diagnosis.coverage.groups import NodeGroup, groups
from vnnverify.diagnosis.coverage.model import ClauseSize, Coverage, NodeCoverage, coverage_of, unreadable
from vnnverify.diagnosis.coverage.treatment import treatment

__all__ = [
    "BackendAnswer",
    "ClauseSize",
    "Coverage",
    "NodeCoverage",
    "NodeGroup",
    "coverage_of",
    "groups",
    "provers",
    "treatment",
    "unreadable",
    "untried_backends",
]
