# SPDX-License-Identifier: Apache-2.0
"""The bounds of single inputs in a large VNN-LIB 2.0 text, read line by line.

A text about video has a million of them, for which the official parser and a walk over its tree take a
minute. Everything else, and every line that is not exactly of the form below, is left to that parser.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from vnnverify.vnnlib.ast import Compare, Variable
from vnnverify.vnnlib.declaration import TensorDeclaration
from vnnverify.vnnlib.number import Number

__all__ = ["BoundLine", "bounds_of", "set_apart"]

_BOUND = r"\((<=|>=|<|>|==) ([A-Za-z]\w*)\[(\d{1,9}(?:, ?\d{1,9})*)\] (-?\d{1,17}\.\d{1,40})\)"
_LINE = re.compile(rf"[ \t]*\(assert (?:\(and {_BOUND} {_BOUND}\)|{_BOUND})\)[ \t]*", re.ASCII)
"""One bound, or two; a comment does not begin with a parenthesis. Floats only: to the type checker of the
official parser whole numbers are of another type."""
_INPUT = re.compile(r"\(declare-input\s+([A-Za-z]\w*)", re.ASCII)
_TYPES = ("real", "float16", "float32", "float64")


class BoundLine(NamedTuple):
    """A line that matches: where its first parenthesis stands, and operator, tensor, indices and number of
    each of its bounds; of three groups of four the last one or the first two are None."""

    offset: int
    parts: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """The lines, and the text with nothing in their places."""

    lines: list[BoundLine]
    rest: str
    kept: list[tuple[int, int]]  # where each line that is kept begins, in the rest and in the text

    def offset(self, offset: int) -> int:
        """Where in the text stands what stands there in the rest."""
        begin, before = self.kept[bisect_right(self.kept, offset, key=itemgetter(0)) - 1]
        return before + offset - begin


def set_apart(text: str) -> Apart:
    """Take the lines that state bounds of single elements of inputs out of a text."""
    inputs = {None, *_INPUT.findall(text)}
    lines: list[BoundLine] = []
    rest: list[str] = []
    kept: list[tuple[int, int]] = []
    start = begin = 0
    match = _LINE.fullmatch
    for line in text.split("\n"):
        found = match(line)
        if found is not None and inputs.issuperset(found.group(2, 6, 10)):
            lines.append(BoundLine(start + line.index("("), found.groups()))
            rest.append("")
            begin += 1
        else:
            rest.append(line)
            kept.append((begin, start))
            begin += len(line) + 1
        start += len(line) + 1
    return Apart(lines, "\n".join(rest), kept)


def bounds_of(lines: Iterable[BoundLine], tensors: Mapping[str, TensorDeclaration]) -> list[Compare] | None:
    """The comparisons that the lines state, in order; None if one is about no element of a float input."""
    found: list[Compare] = []
    known: tuple[str | None, str | None] = (None, None)
    variable: Variable | None = None
    for offset, parts in lines:
        for k in (8,) if parts[0] is None else (0, 4):
            operator, name, indices, literal = parts[k : k + 4]
            assert operator is not None and name is not None and indices is not None and literal is not None
            if (name, indices) != known:
                known, variable = (name, indices), _element(tensors.get(name), indices)
            if variable is None:
                return None
            operator = "=" if operator == "==" else operator
            found.append(Compare(operator, variable, Number(literal), offset))
    return found


def _element(tensor: TensorDeclaration | None, indices: str) -> Variable | None:
    if tensor is None or tensor.kind != "input" or tensor.type not in _TYPES:
        return None
    places = [int(index) for index in indices.split(",")]
    if len(places) != len(tensor.shape):
        return None
    place = 0
    for index, extent in zip(places, tensor.shape, strict=True):
        if index >= extent:
            return None
        place = place * extent + index
    return Variable("X", tensor.start + place)
