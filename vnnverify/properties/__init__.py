# SPDX-License-Identifier: Apache-2.0
"""Properties built in Python, which are written down as VNN-LIB text."""

from vnnverify.properties.property import Property
from vnnverify.properties.relation import Interface, RelationalProperty

__all__ = ["Interface", "Property", "RelationalProperty"]
