# SPDX-License-Identifier: Apache-2.0
"""Properties built in Python, which are written down as VNN-LIB text."""

from vnnverify.properties.property import Property

__all__ = ["Property"]
