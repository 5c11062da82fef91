# SPDX-License-Identifier: Apache-2.0
"""The normal form of a verification question: one graph, input regions, unsafe output polytopes.

    sat  <=>  some clause has an x in its region with graph(x) in one of its unsafe polytopes

Numbers are float64, rounded outward: a region is never smaller and an unsafe polytope never
smaller than what the property's text says, so a proof of `unsat` covers the text. A witness is
judged by the text itself (`vnnverify.loading.replay`), never by these rounded numbers.
"""

from vnnverify.query.clause import Clause
from vnnverify.query.layout import Layout, TensorSpec
from vnnverify.query.polytope import Polytope
from vnnverify.query.question import Query
from vnnverify.query.region import Ball, Box, Least, Part, Region
from vnnverify.query.source import Judge, ModelFile, Replay, Source

__all__ = [
    "Ball",
    "Box",
    "Clause",
    "Judge",
    "Layout",
    "Least",
    "ModelFile",
    "Part",
    "Polytope",
    "Query",
    "Region",
    "Replay",
    "Source",
    "TensorSpec",
]
