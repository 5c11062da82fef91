# SPDX-License-Identifier: Apache-2.0
"""The declarations at the start of a VNN-LIB 2.0 text, also as they are written besides the letter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from vnnverify.errors import SpecError
from vnnverify.vnnlib.parse import place

__all__ = ["ALIASES", "Header", "Network", "Tensor", "read_header"]

_FLOATS = {"float16": ("half", "f16"), "bfloat16": ("bf16",), "float32": ("float", "f32")}
_FLOATS |= {"float64": ("double", "f64"), "bool": ("boolean",), "real": (), "int": ("integer",)}
_WHOLE = {
    f"{sign}int{bits}": (f"{short}{bits}",)
    for sign, short in (("", "i"), ("u", "u"))
    for bits in (8, 16, 32, 64)
}
ALIASES = {alias: kind for kind, names in (_FLOATS | _WHOLE).items() for alias in (kind, *names)}
"""Element types by every name they are known by, in lower case. `int`: whole numbers of the model's type."""

_TOKEN = re.compile(r'\s+|;[^\r\n]*|("[^"\r\n]*"|\[[^\[\]();"]*\]|[()]|<[^<>()\s]*>|[^\s()\[\]";<>]+)')
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_EXTENT = re.compile(r"\d{1,9}", re.ASCII)
_VERSION = re.compile(r'["<]?(2(?:\.\d+)?)[">]?')
_ORDER = {"declare-input": 0, "declare-hidden": 1, "declare-output": 2}
_RELATIONS = ("equal-to", "isomorphic-to")
_STATEMENTS = ("vnnlib-version", "declare-network")
_KEYWORDS = frozenset(("vnnlib-version", "declare-network", "assert", *_ORDER, *_RELATIONS))

Edit = tuple[int, int, str]
"""Begin and end of a piece of the text, and what stands there instead."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A declared tensor: its element type in one of the standard's words or `int`, and the ONNX name."""

    name: str
    type: str
    shape: tuple[int, ...]
    onnx: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A network by its name in the text, and its tensors: inputs, hidden nodes, outputs."""

    name: str
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """The networks, what brings their declarations to the letter, and where the declarations end."""

    networks: tuple[Network, ...]
    edits: tuple[Edit, ...]
    notes: tuple[str, ...]
    end: int


class _Token(NamedTuple):
    text: str
    begin: int
    end: int


class _Declared(NamedTuple):
    keyword: str
    tensor: Tensor
    begin: int
    end: int
    text: str  # to the letter


def read_header(text: str, source: str = "") -> Header:
    """The declarations of a text. What is malformed is passed over: the official parser complains of it.

    Raises:
        SpecError: an unknown element type, or ONNX names of a part of a network's inputs and outputs only.
    """
    return _Reader(text, source).read()


@dataclass(slots=True)
class _Reader:
    text: str
    source: str
    edits: list[Edit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # of networks, and what the letter calls them

    def read(self) -> Header:
        """The networks that the text declares, and the edits that bring it to the letter."""
        versions = end = 0
        for form in _forms(self.text):
            end = form[-1].end
            self._keywords(form)
            if form[1].text == "vnnlib-version":
                versions += 1
                self._version(form)
            else:
                self._network(form)
        if not versions:
            self.edits.append((0, 0, "(vnnlib-version <2.0>)"))
            self.notes.append("the version is not stated; read as <2.0>")
        return Header(tuple(self.networks), tuple(self.edits), tuple(self.notes), end)

    def _keywords(self, form: Sequence[_Token]) -> None:
        """Keywords stand right behind their parenthesis."""
        for bracket, word in pairwise(form):
            if bracket.text == "(" and word.text in _KEYWORDS and bracket.end < word.begin:
                self.edits.append((bracket.end, word.begin, ""))
                self.notes.append("blanks behind a parenthesis are passed over")

    def _version(self, form: Sequence[_Token]) -> None:
        if len(form) != 4:
            return
        found = _VERSION.fullmatch(form[2].text)
        if found is None or re.fullmatch(r"<\d+\.\d+>", form[2].text):
            return
        number = found[1] if "." in found[1] else f"{found[1]}.0"
        self.edits.append((form[2].begin, form[2].end, f"<{number}>"))
        self.notes.append(f"the version {form[2].text} is read as <{number}>")

    def _network(self, form: Sequence[_Token]) -> None:
        if len(form) < 3 or form[2].text in ("(", ")"):
            return
        name = form[2].text
        self._rename(form[2])
        declared: list[_Declared] = []
        malformed = False
        for part in _parts(form[3:-1]):
            if part[1].text in _RELATIONS and len(part) == 4:
                self._rename(part[2])
            elif part[1].text in _ORDER:
                found = self._tensor(part)
                malformed |= found is None
                declared += [] if found is None else [found]
        ordered = sorted(declared, key=lambda d: _ORDER[d.keyword])
        if ordered != declared and not malformed:
            self._reorder(declared, ordered)
        visible = [d.tensor for d in ordered if d.keyword != "declare-hidden"]
        self._check_names(name, visible, form[0].begin)
        self.networks.append(Network(name, tuple(d.tensor for d in ordered)))

    def _rename(self, token: _Token) -> None:
        """A network whose name is no identifier gets one."""
        if _NAME.fullmatch(token.text):
            return
        new = self.names.get(token.text)
        if new is None:
            new = f"N{len(self.names)}_"
            while new in self.text:
                new += "_"
            self.names[token.text] = new
            self.notes.append(f"the network's name {token.text} is no identifier; used as it is")
        self.edits.append((token.begin, token.end, new))

    def _tensor(self, part: Sequence[_Token]) -> _Declared | None:
        """The tensor of a declaration, which is brought to the letter; None if it is malformed."""
        keyword = part[1].text
        words = [t for t in part[2:-1] if t.text[0] not in '["<(']
        shapes = [t for t in part[2:-1] if t.text[0] == "["]
        quoted = [t for t in part[2:-1] if t.text[0] == '"']
        if len(words) != 2 or len(shapes) != 1 or len(quoted) > 1 or words[0] != part[2]:
            return None
        name, kind, shape = words[0], words[1], shapes[0]
        extents = re.split(r"\s*,\s*|\s+", shape.text[1:-1].strip())
        if extents == [""]:
            extents = []
        if not all(map(_EXTENT.fullmatch, extents)):
            return None
        known = ALIASES.get(kind.text.lower())
        if known is None:
            listed = ", ".join(sorted(set(ALIASES.values()) - {"int"}))
            what = f"{keyword.removeprefix('declare-')} {name.text}: unknown or unsupported element type"
            raise self._error(f"{what} {kind.text[:40]}; there are: {listed}", kind.begin)
        if known != kind.text:
            meaning = "whole numbers of the model's type" if known == "int" else known
            self.notes.append(f"the element type {kind.text} is read as {meaning}")
        plain = f"[{','.join(extents)}]"
        if len(extents) > 1 and "," not in shape.text:
            self.notes.append(f"the shape {shape.text} is read as {plain}")
        if shape.begin < kind.begin:
            self.notes.append("a shape before the element type is read as one behind it")
            kind, shape = shape, kind
        self._edit(kind, "real")
        self._edit(shape, plain)
        onnx = quoted[0].text if quoted else ""
        if quoted and keyword != "declare-hidden":
            self._edit(quoted[0], "")
            self.notes.append("ONNX names of inputs and outputs say which of the model's they are")
            onnx, named = "", onnx
        else:
            named = onnx
        tensor = Tensor(name.text, known, tuple(map(int, extents)), named.strip('"'))
        text = f"({keyword} {name.text} real {plain}{' ' if onnx else ''}{onnx})"
        return _Declared(keyword, tensor, part[0].begin, part[-1].end, text)

    def _edit(self, token: _Token, new: str) -> None:
        if token.text != new:
            self.edits.append((token.begin, token.end, new))

    def _reorder(self, declared: Sequence[_Declared], ordered: Sequence[_Declared]) -> None:
        """Declarations in the order of inputs, hidden nodes, outputs; line breaks stay where they are."""
        self.notes.append("declarations are read in the order of inputs, hidden nodes, outputs")
        for old, new in zip(declared, ordered, strict=True):
            self.edits = [e for e in self.edits if not old.begin <= e[0] < old.end]
            breaks = "\n" * self.text.count("\n", old.begin, old.end)
            self.edits.append((old.begin, old.end, new.text + breaks))

    def _check_names(self, network: str, tensors: Sequence[Tensor], offset: int) -> None:
        """That all inputs and outputs have an ONNX name, or none."""
        named = [t.onnx != "" for t in tensors]
        if any(named) and not all(named):
            missing = tensors[named.index(False)].name
            message = f"network {network}: {missing} has no ONNX name, others have; name all or none of them"
            raise self._error(message, offset)

    def _error(self, message: str, offset: int) -> SpecError:
        line, column = place(self.text, offset)
        return SpecError(message, line=line, column=column, source=self.source)


def _forms(text: str) -> Iterator[list[_Token]]:
    """The tokens of each statement of a text, up to the first that is no declaration, or malformed."""
    form: list[_Token] = []
    depth = position = 0
    while found := _TOKEN.match(text, position):
        position = found.end()
        if found.lastindex is None:
            continue
        form.append(_Token(found[0], found.start(), found.end()))
        if found[0] in "()":
            depth += 1 if found[0] == "(" else -1
        if len(form) == 2 and found[0] not in _STATEMENTS:
            return
        if depth <= 0:
            if depth < 0 or len(form) == 1:
                return
            yield form
            form = []


def _parts(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """The parenthesised parts of a statement's inside, of at least two tokens."""
    part: list[_Token] = []
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth > 0 or part:
            part.append(token)
        if depth == 0 and part:
            if len(part) > 2:
                yield part
            part = []
