# SPDX-License-Identifier: Apache-2.0
"""Backward linear bounds (CROWN, DeepPoly): a row over some value is rewritten, node by node, into a
row over the inputs that is nowhere larger.

    Λ z + c  >=  Λ' x + c' − error      for all x in the row's box

Every row belongs to one box of the batch and brings its own running bound of the rounding error.

Source: Zhang et al., arXiv:1811.00866; Singh et al., POPL 2019 (DeepPoly).
"""

from vnnverify.bounds.backward.rows import Linear, Rows
from vnnverify.bounds.backward.rules import domain
from vnnverify.bounds.backward.walk import lower_bounds

__all__ = ["Linear", "Rows", "domain", "lower_bounds"]
