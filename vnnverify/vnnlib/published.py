# SPDX-License-Identifier: Apache-2.0
"""VNN-LIB 2.0 texts as people publish them, brought to the letter of the standard.

What is read besides the letter: `Real`, `Int` and other names of element types, a version line without
angle brackets or none, ONNX names of inputs and outputs, hidden nodes after outputs, extents without commas,
names of networks that are no identifiers, numbers with an exponent or without a point, `=` for `==`, blanks
after a parenthesis, and indices that count the elements of a tensor in order or leave out its axes of one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from operator import itemgetter

from vnnverify.errors import SpecError
from vnnverify.vnnlib.header import Header, Tensor, read_header
from vnnverify.vnnlib.number import MAX_DIGITS
from vnnverify.vnnlib.parse import place

__all__ = ["Letter", "to_letter"]

_BODY = re.compile(
    r'"[^"\r\n]*"|;[^\r\n]*'
    r"|\((?P<blank>\s+)(?=assert\b)"
    r"|\(\s*(?P<equal>=)(?=[\s(])"
    r"|(?P<number>(?<![\w.\[\],])[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)(?=[\s();])"
    r"|(?P<name>[A-Za-z]\w*)(?P<index>\s*\[[\d\s,]*\])?",
    re.ASCII,
)
_PLAIN = re.compile(r"-?\d+\.\d+")
_SAFE = (1e-300, 1e300)
"""Numbers of which the official parser takes every float: it stops at what its own floats cannot hold."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A text to the letter, and what it says otherwise.

    Attributes:
        text: what the official parser is given; tensors are real in it.
        header: the declarations as they were written.
        numbers: what literals of the text stand for.
        notes: what had to be read otherwise than the letter says, each a sentence.
        place: line and column in the original of a line and column in the text.
    """

    text: str
    header: Header
    numbers: Mapping[str, str]
    notes: tuple[str, ...]
    place: Callable[[int, int], tuple[int, int]]


def to_letter(text: str, source: str = "") -> Letter | None:
    """The text to the letter of VNN-LIB 2.0; None where nothing in it can be read otherwise.

    Raises:
        SpecError: an unknown element type, ONNX names of a part of the tensors only, or an index of which it
            is not clear which element it means.
    """
    header = read_header(text, source)
    writing = _Writing(text, source, header)
    writing.write_body()
    if not writing.edits:
        return None
    writing.edits.sort(key=itemgetter(0))
    pieces, position = [], 0
    starts: list[tuple[int, int, int]] = []  # where a piece of the original begins: in the letter, in it
    length = 0
    for begin, end, new in writing.edits:
        starts.append((length, position, begin))
        pieces += [text[position:begin], new]
        length += begin - position + len(new)
        position = end
    starts.append((length, position, len(text)))
    pieces.append(text[position:])
    changed = "".join(pieces)

    def back(line: int, column: int) -> tuple[int, int]:
        offset = _offset(changed, line, column)
        begin, original, end = starts[max(0, bisect_right(starts, offset, key=itemgetter(0)) - 1)]
        where = place(text, min(original + offset - begin, end))
        return where if column else (where[0], 0)

    return Letter(changed, header, writing.numbers, tuple(dict.fromkeys(writing.notes)), back)


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + max(0, column - 1)


@dataclass(slots=True)
class _Writing:
    """The edits that bring a text to the letter: (begin, end, what stands there instead)."""

    text: str
    source: str
    header: Header
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)
    _written: dict[str, str] = field(default_factory=dict)
    _indexed: set[str] = field(default_factory=set)  # tensors of which a note has told
    _tail: str = "731"

    def __post_init__(self) -> None:
        self.edits += self.header.edits
        self.notes += self.header.notes
        while f".{self._tail}" in self.text:
            self._tail += "731"

    def write_body(self) -> None:
        """Find what is written otherwise in the assertions."""
        tensors = {t.name: t for network in self.header.networks for t in network.tensors}
        for found in _BODY.finditer(self.text, self.header.end):
            kind = found.lastgroup
            if kind == "number":
                self._number(found)
            elif kind in ("name", "index"):
                tensor = tensors.get(found["name"])
                if tensor is not None:
                    self._element(found, tensor)
            elif kind == "equal":
                self.edits.append((*found.span("equal"), "=="))
                self.notes.append("= is read as ==")
            elif kind == "blank":
                self.edits.append((*found.span("blank"), ""))
                self.notes.append("blanks behind a parenthesis are passed over")

    def _number(self, found: re.Match[str]) -> None:
        """Write a literal as digits with a point; or, where the parser's floats do not reach, another one."""
        literal = found["number"]
        written = self._written.get(literal)
        if written is None:
            written = self._written[literal] = self._literal(literal)
        if written != literal:
            self.edits.append((*found.span("number"), written))

    def _literal(self, literal: str) -> str:
        if len(literal) > MAX_DIGITS:
            return literal  # which is refused where it is read
        zero = not re.search("[1-9]", literal.lower().partition("e")[0])
        safe = zero or _SAFE[0] <= abs(float(literal)) <= _SAFE[1]
        if _PLAIN.fullmatch(literal) and safe:
            return literal
        if literal.lstrip("-").isdigit() and safe:
            self.notes.append("numbers without a point are read as those with one")
            return f"{literal}.0"
        if _PLAIN.fullmatch(literal):
            self.notes.append("numbers beyond the range of float64 are read")
        else:
            self.notes.append("numbers are read in every form of VNN-LIB 1.0, such as 1e-3")
        written = f"{len(self.numbers)}.{self._tail}"
        self.numbers[written] = literal
        return written

    def _element(self, found: re.Match[str], tensor: Tensor) -> None:
        """Write the indices of an element in full."""
        given = tuple(int(part) for part in re.findall(r"\d+", found["index"] or ""))
        if len(given) == len(tensor.shape) and (given or found["index"] is None):
            return
        indices = _indices(given, tensor.shape)
        if indices is None:
            line, column = place(self.text, found.start())
            message = f"{found[0]} is no element of {tensor.name}, which is declared {_shown(tensor.shape)}"
            raise SpecError(f"{message}; indices count from 0", line=line, column=column, source=self.source)
        written = f"{tensor.name}[{','.join(map(str, indices))}]" if indices else tensor.name
        self.edits.append((found.start(), found.end(), written))
        if tensor.name not in self._indexed:
            self._indexed.add(tensor.name)
            declared = f"{tensor.name} is declared {_shown(tensor.shape)}"
            self.notes.append(f"{declared}; {found[0]} is read as {written}, others alike")


def _indices(given: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The element that is meant by indices of another number than the tensor has axes: by its place in order,
    or with axes of one left out or put in front. None where none is."""
    inner = [extent for extent in shape if extent != 1]
    if not given:
        return (0,) * len(shape) if not inner else None
    if len(given) == 1:
        return _unravelled(given[0], shape) if given[0] < prod(shape) else None
    if len(given) > len(shape):
        extra = len(given) - len(shape)
        return given[extra:] if not any(given[:extra]) and _within(given[extra:], shape) else None
    if len(given) == len(inner) and _within(given, tuple(inner)):
        left = iter(given)
        return tuple(0 if extent == 1 else next(left) for extent in shape)
    return None


def _shown(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _within(indices: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(index < extent for index, extent in zip(indices, shape, strict=True))


def _unravelled(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    places = []
    for extent in reversed(shape):
        index, here = divmod(index, extent)
        places.append(here)
    return tuple(reversed(places))
