# SPDX-License-Identifier: Apache-2.0
"""The intermediate representation: operators with traits, and graphs of them."""

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Affine, Bilinear, Composite, Elementwise, Enclosed, Maximum, Op, Shape, flat

__all__ = [
    "Affine",
    "Bilinear",
    "Composite",
    "Elementwise",
    "Enclosed",
    "Graph",
    "Maximum",
    "Node",
    "Op",
    "Shape",
    "Value",
    "flat",
]
