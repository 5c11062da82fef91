# SPDX-License-Identifier: Apache-2.0
"""What the start of a VNN-LIB text tells without parsing it: its version, and which networks are equal."""

from __future__ import annotations

import re

from vnnverify.errors import FileError
from vnnverify.inputs.files import read_start

__all__ = ["equal_networks", "first_statement", "is_second", "is_second_file", "resembles_protobuf"]

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_FIRST = re.compile(r"\ufeff?(?:\s|;[^\r\n]*(?:[\r\n]|\Z))*\(\s*([^\s()]+)\s*<?\s*([^\s()<>]*)")
_COMMENT = re.compile(r";[^\r\n]*")
_EQUAL = re.compile(r"\(\s*declare-network\s+([^\s()]+)\s*\(\s*equal-to\s+([^\s()]+)\s*\)")
_DECLARATIONS = frozenset(("declare-network", "declare-input", "declare-hidden", "declare-output"))


def resembles_protobuf(data: bytes) -> bool:
    """Whether the start of a file may be that of an ONNX model: the tag of a number or message, and
    characters that no text has."""
    return bool(data) and data[0] >= 8 and data[0] & 7 in (0, 2) and _CONTROL.search(data) is not None


def first_statement(text: str) -> str:
    """The word that the first statement of a text begins with; nothing if it does not begin with one."""
    found = _FIRST.match(text)
    return found[1] if found else ""


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
    """Whether a file, plain or gzipped, is VNN-LIB 2, told by its first statement and never by its path;
    False if it cannot be read."""
    return is_second(_start(path))


def equal_networks(path: str) -> dict[str, str]:
    """The networks that a file declares `equal-to` another one, and to which; none if it cannot be read."""
    return dict(_EQUAL.findall(_COMMENT.sub("", _start(path))))


def _start(path: str) -> str:
    try:
        return read_start(path).decode("utf-8", errors="replace")
    except FileError:
        return ""
