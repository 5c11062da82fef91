# SPDX-License-Identifier: Apache-2.0
"""The official VNN-LIB 2.0 parser and type checker, guarded against the texts that it does not survive."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from vnnverify.errors import SpecError
from vnnverify.vnnlib.parse import ABSENT, place

__all__ = ["MAX_NESTING", "assertion_offsets", "parse_officially"]

MAX_NESTING = 1_000
"""Deepest nesting of parentheses handed on; the parser recurses. Properties in use reach 4."""

_ASSERTION = re.compile(r'"[^"\r\n]*"|;[^\r\n]*|(\(\s*assert\b)')
_PIECE = re.compile(r'"[^"\r\n]*"|;[^\r\n]*|[()\[\]]|[A-Za-z]\w*|\d+(?:\.\d*)?|[^"();\w\[\]]+|_|"', re.ASCII)
_SUSPECT = re.compile(r"\[[\d\s,]*\d{10}|(?<![\w.])\d{19}|[^\x00-\x7f]")
_SYNTAX = re.compile(r"syntax error at line (\d+), column (\d+): ?(.*)", re.DOTALL)
_DIGITS = 18
"""Digits of a whole number that surely fit the parser's 64 bits …"""
_INDEX_DIGITS = 9
"""… and of an index or a dimension that surely fit its 32 bits, to which it cuts them without a word."""


Place = Callable[[int, int], tuple[int, int]]
"""The line and column that an error states for a line and column of the text; column 0 is the whole line."""


def parse_officially(text: str, source: str = "", where: Place = lambda line, column: (line, column)) -> Any:
    """The official syntax tree of a text, type-checked.

    Raises:
        SpecError: a syntax or type error; a text that the parser would not survive; or the parser is missing.
    """
    _guard(text, source, where)
    try:
        import vnnlib
    except ImportError as error:
        message = f"VNN-LIB 2.0 needs the package `vnnlib` ({error}): pip install 'vnnlib>=1.0.2,<2'"
        raise SpecError(message, source=source) from error
    try:
        query = vnnlib.parse_query_string(text)
    except vnnlib.VNNLibException as error:
        raise _explained(str(error), text, source, where) from None
    except (IndexError, ValueError, OverflowError) as error:
        message = f"a number beyond the range of 64 bits ({error}); write it with fewer digits"
        raise SpecError(message, source=source) from error
    if query is None:
        raise SpecError("the parser of VNN-LIB 2.0 gave no answer", source=source)
    return query


def assertion_offsets(text: str) -> list[int]:
    """Where the assertions of a text stand."""
    return [found.start() for found in _ASSERTION.finditer(text) if found[1]]


def _guard(text: str, source: str, where: Place) -> None:
    """Refuse what the parser would crash on, cut to fewer bits, or answer with an error of no place."""
    nul = text.find("\0")
    if nul >= 0:
        raise _error("NUL byte in the text; is this a text file?", text, nul, source, where)
    if _nesting(text) <= MAX_NESTING and not _SUSPECT.search(text):
        return
    depth = brackets = 0
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece in "()":
            depth += 1 if piece == "(" else -1
            message = f"parentheses nested deeper than {MAX_NESTING:,} levels" if depth > MAX_NESTING else ""
        elif piece in "[]":
            brackets += 1 if piece == "[" else -1
            message = ""
        else:
            message = _complaint(piece, indexing=brackets > 0)
        if message:
            odd = next((k for k, character in enumerate(piece) if not character.isascii()), 0)
            raise _error(message, text, found.start() + odd, source, where)


def _nesting(text: str) -> int:
    """The deepest nesting, comments counted in: enough to rule out that it is too deep."""
    code = np.frombuffer(text.encode("utf-8", errors="replace"), dtype=np.uint8)
    steps = (code == ord("(")).astype(np.int8) - (code == ord(")")).astype(np.int8)
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _complaint(piece: str, *, indexing: bool) -> str:
    """What is wrong with a number or word; nothing with a comment or quoted text."""
    if piece[0] in ';"':
        return ""
    most = _INDEX_DIGITS if indexing else _DIGITS
    if piece.isdigit() and len(piece) > most:
        what = "an index or dimension" if indexing else "a whole number"
        return f"{what} of {len(piece)} digits; at most {most} are read"
    if not piece.isascii():
        odd = next(character for character in piece if not character.isascii())
        return f"the character {odd!r} stands outside of a comment; write plain ASCII"
    return ""


def _error(message: str, text: str, offset: int, source: str, where: Place) -> SpecError:
    line, column = where(*place(text, offset))
    return SpecError(message, line=line, column=column, source=source)


def _explained(message: str, text: str, source: str, where: Place) -> SpecError:
    """The parser's complaint on one line, with its place and what to do."""
    syntax = _SYNTAX.search(message)
    if syntax is not None:
        line = int(syntax[1])
        column = int(syntax[2]) + (line > 1)  # the parser counts from 1 in the first line, then from 0
        return _syntax_error(line, column, syntax[3].strip(), text, source, where)
    start = message.find("{")
    try:
        first = json.loads(message[start:])["errors"][0]
        line = int(first.get("line") or 0)
        line = where(line, 0)[0] if line else 0
        what = " ".join(str(first["message"]).split()).rstrip(".")
        hint = " ".join(str(first.get("hint") or "").split()).rstrip(".")
        symbol = str(first.get("offendingSymbol") or "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return SpecError(" ".join(message.split())[:300], source=source)
    subject = f"{symbol}: " if symbol and symbol not in what else ""
    return SpecError(f"{subject}{what}{f'; {hint}' if hint else ''}", line=line, source=source)


def _syntax_error(line: int, column: int, token: str, text: str, source: str, where: Place) -> SpecError:
    quoted = token.strip("'")
    if line == 1 and quoted[:1].isdigit() and "vnnlib-version" in text.split("\n", 1)[0]:
        message = f"write the version in angle brackets: (vnnlib-version <{quoted}>)"
    elif not quoted:
        message = "the text ends too early: an (assert …) or a ) is missing"
    elif quoted in ABSENT:
        message = f"({quoted} …) is not in VNN-LIB; {ABSENT[quoted]}"
    else:
        message = f"syntax error at {quoted[:40]!r}; VNN-LIB 2.0 wants {_wanted(text, line, column, quoted)}"
    line, column = where(line, column)
    return SpecError(message, line=line, column=column, source=source)


def _wanted(text: str, line: int, column: int, token: str) -> str:
    """What the grammar asks for where people most often write something else."""
    lines = text.split("\n")
    before, rest = "", ""
    if line <= len(lines):
        before, rest = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
    if re.match(r"\(\s*declare-(const|fun)\b", rest):
        return "(declare-network …); `declare-const` is of VNN-LIB 1.0, whose texts have no version line"
    if token.startswith("(declare-") and "vnnlib-version" not in text:
        return "(vnnlib-version <2.0>) first"
    if token[:1] in "eE" and before[-1:].isdigit():
        return "numbers without exponent, such as 0.001"
    if rest.startswith("=>"):
        return f"no (=> …); {ABSENT['=>']}"
    if token == "=" or token.startswith("(="):
        return "== for equality"
    if "initialized" in token:
        return "inputs without `initialized`, which is of version 2.1"
    if before.rstrip() != before and before.rstrip().endswith("("):
        return "no space after ("
    if "(assert" in before or "(assert" in "".join(lines[: line - 1]):
        return "one of and or < <= > >= == != + - * behind (, names declared above, and decimals"
    return "(declare-network …) with inputs, hidden nodes and outputs in this order, then (assert …)"
