# SPDX-License-Identifier: Apache-2.0
"""The guard: a graph that was not compared with the original model on the regions proves nothing."""

from vnnverify.guard.comparison import Finding, FindingKind
from vnnverify.guard.guard import Disagreement, Guard

__all__ = ["Disagreement", "Finding", "FindingKind", "Guard"]
