# SPDX-License-Identifier: Apache-2.0
"""Which version of VNN-LIB a text is written in: told by its first statement, never by its path."""

from __future__ import annotations

import re

from vnnverify.errors import FileError
from vnnverify.files import read_start

__all__ = ["is_second", "is_second_file"]

_FIRST = re.compile(r"\ufeff?(?:\s|;[^\r\n]*(?:[\r\n]|\Z))*\(\s*([^\s()]+)\s*<?\s*([^\s()<>]*)")
_DECLARATIONS = frozenset(("declare-network", "declare-input", "declare-hidden", "declare-output"))


def is_second(text: str) -> bool:
    """Whether a text is VNN-LIB 2: its first statement is (vnnlib-version <2.…>), or a declaration that only
    VNN-LIB 2 has."""
    found = _FIRST.match(text)
    if found is None:
        return False
    if found[1] == "vnnlib-version":
        return found[2].partition(".")[0] != "1"
    return found[1] in _DECLARATIONS


def is_second_file(path: str) -> bool:
    """Whether a file, plain or gzipped, is VNN-LIB 2; False if it cannot be read."""
    try:
        return is_second(read_start(path).decode("utf-8", errors="replace"))
    except FileError:
        return False
