# SPDX-License-Identifier: Apache-2.0
"""Amounts of memory as people write them."""

from __future__ import annotations

import re

__all__ = ["MIB", "parse_size"]

MIB = 1 << 20
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*(?:([KMGT])(?:i?B)?|B)", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of `4GiB`, `512M`, `1.5 GB`, `100B`; the letters stand for powers of 1024.

    Raises:
        ValueError: it is not a number with a unit.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size, as in 4GiB")
    number, prefix = found.groups()
    return int(float(number) * 1024 ** (" KMGT".index(prefix.upper()) if prefix else 0))
