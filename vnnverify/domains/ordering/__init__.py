# SPDX-License-Identifier: Apache-2.0
"""Linear forms over values of a graph that are nowhere negative, shown in rational numbers."""

from vnnverify.domains.ordering.ordering import Ordering

__all__ = ["Ordering"]
