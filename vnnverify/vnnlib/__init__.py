# SPDX-License-Identifier: Apache-2.0
"""VNN-LIB: text to syntax tree to a checked property to a query."""

from vnnverify.vnnlib.normalize import normalize
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.reading import load_property, parse_property

__all__ = ["ParsedProperty", "load_property", "normalize", "parse_property"]
