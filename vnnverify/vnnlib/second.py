# SPDX-License-Identifier: Apache-2.0
"""VNN-LIB 2.0 text to a property: the official syntax tree brought into our own.

The elements of all inputs, of all networks in turn, are the variables X_0, X_1, …; those of all outputs and
hidden nodes the variables Y_0, Y_1, …: network by network, its outputs before its hidden nodes.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from vnnverify.errors import SpecError
from vnnverify.vnnlib.ast import And, Compare, Expr, Number, Or, Term, Variable
from vnnverify.vnnlib.boxes import bounds_of, set_apart
from vnnverify.vnnlib.collector import collector_paused
from vnnverify.vnnlib.declaration import NetworkDeclaration, TensorDeclaration
from vnnverify.vnnlib.header import Tensor
from vnnverify.vnnlib.number import MAX_DIGITS
from vnnverify.vnnlib.official import assertion_offsets, parse_officially
from vnnverify.vnnlib.parse import make_arithmetic, place
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.published import Letter, to_letter

__all__ = ["TYPES", "parse_second"]

logger = logging.getLogger(__name__)

TYPES = {
    "Real": "real",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "BF16": "bfloat16",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "Bool": "bool",
}
"""The official parser's names of element types, and the text's."""

MAX_ELEMENTS = 1 << 28
"""Most elements of one declared tensor."""

LARGE = 1 << 20
"""Characters beyond which the bounds of single inputs are not left to the official parser."""

_COMPARISONS = {
    "LessThan": "<",
    "LessEqual": "<=",
    "GreaterThan": ">",
    "GreaterEqual": ">=",
    "Equal": "=",
    "NotEqual": "!=",
}
_LEAVES = frozenset(("Var", "Float", "Int"))
_ARITHMETIC = {"Plus": "+", "Multiply": "*", "Minus": "-", "Negate": "-"}


def parse_second(text: str, source: str = "", *, strict: bool = False) -> ParsedProperty:
    """Read and check VNN-LIB 2.0 text, also as it is published besides the letter, with a warning for each
    thing that is read otherwise.

    Args:
        strict: refuse what is not to the letter of the standard.

    Raises:
        SpecError: a syntax or type error, or an element type that is not supported.
    """
    text = text.removeprefix("\ufeff")
    large = _parse_large(text, source, strict) if len(text) > LARGE else None
    prop, notes = large or _parse_all(text, source, strict)
    for note in notes:
        logger.warning("%s: %s", source or "property", note)
    return prop


def _parse_large(text: str, source: str, strict: bool) -> tuple[ParsedProperty, tuple[str, ...]] | None:
    """A text that consists of bounds of single inputs for the most part; None if it cannot be read so, or if
    something is wrong with it, which is then found in the whole."""
    with collector_paused():
        apart = set_apart(text)
        if not apart.lines:
            return None
        try:
            other, notes = _parse_all(apart.rest, source, strict, apart.offset)
        except SpecError:
            return None
        tensors = {t.name: t for n in other.networks for t in n.tensors}
        bounds = bounds_of(apart.lines, tensors)
        if bounds is None:
            return None
        assertions = [*bounds, *other.assertions]
        offsets = [*(bound.offset for bound in bounds), *other.offsets]
    prop = dataclasses.replace(other, assertions=tuple(assertions), offsets=tuple(offsets), text=text)
    return prop, notes


def _parse_all(
    text: str, source: str, strict: bool, offset: Callable[[int], int] = int
) -> tuple[ParsedProperty, tuple[str, ...]]:
    """The property that the official parser reads, and what was read otherwise than by the letter. `offset`
    says where in the file a place of the text is."""
    found, letter = _read(text, source, strict)
    networks = _networks(found, letter, text, source)
    offsets = [offset(k) for k in assertion_offsets(text)]
    if len(offsets) != len(found.assertions):
        offsets = [0] * len(found.assertions)
    convert = _Converter(networks, letter.numbers if letter else {}, source)
    with collector_paused():
        assertions = [convert(a.expr, o) for a, o in zip(found.assertions, offsets, strict=True)]
    inputs = sum(t.size for n in networks for t in n.inputs)
    outputs = sum(t.size for n in networks for t in (*n.outputs, *n.hidden))
    prop = ParsedProperty(inputs, outputs, tuple(assertions), tuple(offsets), source, text, networks)
    return prop, letter.notes if letter else ()


def _read(text: str, source: str, strict: bool) -> tuple[Any, Letter | None]:
    """The official syntax tree of the text; where it is not to the letter, that of its letter."""
    error: SpecError | None = None
    try:
        found = parse_officially(text, source)
        if not _unknown(found):
            return found, None
    except SpecError as refused:
        if strict:
            raise
        error = refused
    letter = to_letter(text, source)
    if strict and letter is not None:
        raise SpecError(f"not to the letter of VNN-LIB 2.0: {letter.notes[0]}", source=source)
    if letter is None:
        if error is not None:
            raise error
        return found, None
    found = parse_officially(letter.text, source, letter.place)
    if error is not None and not letter.notes:
        letter = dataclasses.replace(letter, notes=("tensors of different types are compared as numbers",))
    return found, letter


def _unknown(found: Any) -> bool:
    """Whether a tensor's element type has a name that the official parser does not know."""
    tensors = (t for n in found.networks for t in (*n.inputs, *n.hidden, *n.outputs))
    return any(t.dtype.name not in TYPES for t in tensors)


def _networks(found: Any, letter: Letter | None, text: str, source: str) -> tuple[NetworkDeclaration, ...]:
    x = y = 0
    written = letter.header.networks if letter else ()
    tensors = {t.name: t for n in written for t in n.tensors}
    names = {n.name: w.name for n, w in zip(found.networks, written, strict=False)}
    networks = []
    for network in found.networks:
        name = names.get(network.name, network.name)
        line = place(text, max(0, text.find(f"declare-network {name}")))[0]
        inputs = _tensors(network.inputs, "input", x, tensors, line, source)
        outputs = _tensors(network.outputs, "output", y, tensors, line, source)
        y += sum(t.size for t in outputs)
        hidden = _tensors(network.hidden, "hidden", y, tensors, line, source)
        x, y = x + sum(t.size for t in inputs), y + sum(t.size for t in hidden)
        equal, isomorphic = (names.get(n, n) for n in (network.equal_to, network.isometric_to))
        if equal and isomorphic:
            message = f"network {name}: both equal-to and isomorphic-to; keep one of them"
            raise SpecError(message, line=line, source=source)
        networks.append(NetworkDeclaration(name, inputs, hidden, outputs, equal, isomorphic))
    types = {t.type for n in networks for t in n.tensors} - {"int"}
    if "real" in types and len(types) > 1:
        other = min(types - {"real"})
        message = (
            f"declares tensors of type real and of type {other}; a text about real numbers is so throughout"
        )
        raise SpecError(message, source=source)
    return tuple(networks)


def _tensors(
    definitions: Any, kind: str, start: int, written: Mapping[str, Tensor], line: int, source: str
) -> tuple[TensorDeclaration, ...]:
    """The tensors of one kind. `written` has those whose declaration was brought to the letter."""
    tensors = []
    for definition in definitions:
        name, shape = definition.name, tuple(definition.shape)
        known = written.get(name)
        if known is None and definition.dtype.name not in TYPES:
            listed = ", ".join(sorted(TYPES.values()))
            message = f"{kind} {name}: unknown or unsupported element type; there are: {listed}"
            raise SpecError(message, line=line, source=source)
        if prod(shape) > MAX_ELEMENTS:
            message = f"{kind} {name}: {prod(shape):,} elements, more than {MAX_ELEMENTS:,}; refused"
            raise SpecError(message, line=line, source=source)
        element_type = known.type if known else TYPES[definition.dtype.name]
        node = known.onnx if known else (definition.onnx_name or "").strip('"')
        tensors.append(TensorDeclaration(name, element_type, shape, kind, start, node))
        start += prod(shape)
    return tuple(tensors)


class _Converter:
    """Turns official expressions into our own; equal variables and literals become one object."""

    def __init__(
        self, networks: tuple[NetworkDeclaration, ...], literals: Mapping[str, str], source: str
    ) -> None:
        self._literals = literals  # what some of the tree's stand for
        self._tensors = {t.name: t for n in networks for t in n.tensors}
        self._variables: dict[tuple[str, tuple[int, ...]], Variable] = {}
        self._numbers: dict[str, Number] = {}
        self._source = source

    def __call__(self, node: Any, offset: int) -> Expr:
        """The expression of an assertion that stands at `offset`; walked with a stack."""
        values: list[Any] = []
        pending: list[tuple[Any, bool]] = [(node, False)]
        while pending:
            current, parts_done = pending.pop()
            kind = type(current).__name__
            if kind in _LEAVES:
                values.append(self._leaf(current, kind))
                continue
            if kind in _COMPARISONS:  # the common case, without a detour over the stack
                lhs, rhs = current.lhs, current.rhs
                left, right = type(lhs).__name__, type(rhs).__name__
                if left in _LEAVES and right in _LEAVES:
                    parts = self._leaf(lhs, left), self._leaf(rhs, right)
                    values.append(Compare(_COMPARISONS[kind], *parts, offset))
                    continue
            children = _children(current, kind)
            if not parts_done:
                pending.append((current, True))
                pending.extend((child, False) for child in reversed(children))
                continue
            count = len(children)
            values[-count:] = [_built(kind, tuple(values[-count:]), offset)]
        found: Expr = values[0]
        return found

    def _leaf(self, node: Any, kind: str) -> Term:
        if kind == "Var":
            key = (node.name, tuple(node.indices))
            variable = self._variables.get(key)
            if variable is None:
                variable = self._variables[key] = self._variable(*key)
            return variable
        text = self._literals.get(node.lexeme, node.lexeme)
        number = self._numbers.get(text)
        if number is None:
            if len(text) > MAX_DIGITS:
                message = f"a number of {len(text):,} characters; at most {MAX_DIGITS:,} are read"
                raise SpecError(message, line=int(node.line), source=self._source)
            number = self._numbers[text] = Number(text)
        return number

    def _variable(self, name: str, indices: tuple[int, ...]) -> Variable:
        tensor = self._tensors[name]
        place = 0
        for index, extent in zip(indices, tensor.shape, strict=True):
            place = place * extent + index
        return Variable("X" if tensor.kind == "input" else "Y", tensor.start + place)


def _children(node: Any, kind: str) -> tuple[Any, ...]:
    if kind in _COMPARISONS:
        return (node.lhs, node.rhs)
    if kind == "Minus":
        return (node.head, *node.rest)
    if kind == "Negate":
        return (node.expr,)
    children: tuple[Any, ...] = tuple(node.args)
    return children


def _built(kind: str, parts: tuple[Any, ...], offset: int) -> Any:
    if kind in _COMPARISONS:
        return Compare(_COMPARISONS[kind], parts[0], parts[1], offset)
    if kind in _ARITHMETIC:
        return make_arithmetic(_ARITHMETIC[kind], parts) if len(parts) > 1 or kind == "Negate" else parts[0]
    return And(parts) if kind == "And" else Or(parts)
