# SPDX-License-Identifier: Apache-2.0
"""VNN-LIB text of either version to a checked property."""

from __future__ import annotations

import os

from vnnverify.errors import SpecError
from vnnverify.inputs.dialect import is_second, resembles_protobuf
from vnnverify.inputs.files import read_bytes
from vnnverify.vnnlib.ast import Variable
from vnnverify.vnnlib.parse import Script, make_leaf, parse, place
from vnnverify.vnnlib.property import ParsedProperty

__all__ = ["load_property", "parse_property"]


def load_property(path: str | os.PathLike[str], *, strict: bool = False) -> ParsedProperty:
    """Read a VNN-LIB file of either version, plain or gzipped.

    Args:
        strict: refuse VNN-LIB 2.0 that is not to the letter of the standard.

    Raises:
        FileError: it cannot be read.
        SpecError: it is malformed.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        if resembles_protobuf(data):
            message = "is a binary file, as ONNX models are, not VNN-LIB text; is it in the model's place?"
            raise SpecError(message, source=os.fspath(path)) from error
        raise SpecError(
            f"not UTF-8 text (byte 0x{data[error.start]:02x}); save the file as UTF-8",
            line=before.count(b"\n") + 1,
            column=len(before) - before.rfind(b"\n"),
            source=os.fspath(path),
        ) from error
    return parse_property(text, os.fspath(path), strict=strict)


def parse_property(text: str, source: str = "", *, strict: bool = False) -> ParsedProperty:
    """Read and check VNN-LIB text of either version.

    Args:
        strict: refuse VNN-LIB 2.0 that is not to the letter of the standard.

    Raises:
        SpecError: a syntax error, an undeclared, duplicate or badly numbered variable, an unknown sort.
    """
    if is_second(text):
        from vnnverify.vnnlib.second import parse_second

        return parse_second(text, source, strict=strict)
    script = parse(text, source)
    text = text.removeprefix("\ufeff")
    counts = _declared(script, text, source)
    for variable, offset in script.used:
        if variable.index >= counts[variable.kind]:
            message = f"variable {variable.name} is not declared; add (declare-const {variable.name} Real)"
            raise _error(message, text, offset, source)
    if not script.assertions:
        raise SpecError("no (assert …) found; an empty property is true everywhere", source=source)
    return ParsedProperty(counts["X"], counts["Y"], script.assertions, script.offsets, source, text)


def _error(message: str, text: str, offset: int, source: str) -> SpecError:
    line, column = place(text, offset)
    return SpecError(message, line=line, column=column, source=source)


def _declared(script: Script, text: str, source: str) -> dict[str, int]:
    """How many X and Y there are."""
    found: dict[str, dict[int, int]] = {"X": {}, "Y": {}}  # kind -> index -> offset
    for declaration in script.declarations:
        name, offset = declaration.name, declaration.offset
        leaf = make_leaf(name)
        if not isinstance(leaf, Variable):
            message = f"variable {name[:40]!r}: inputs are called X_0, X_1, …, outputs Y_0, Y_1, …"
            raise _error(message, text, offset, source)
        if declaration.sort != "Real":
            message = f"{name}: sort {declaration.sort[:40]!r} is not supported; use Real"
            raise _error(message, text, offset, source)
        if leaf.index in found[leaf.kind]:
            first = place(text, found[leaf.kind][leaf.index])[0]
            raise _error(f"{name} is declared twice, first in line {first}", text, offset, source)
        found[leaf.kind][leaf.index] = offset
    for kind, indices in found.items():
        if not indices:
            raise SpecError(
                f"no variable {kind}_0 is declared; add (declare-const {kind}_0 Real)", source=source
            )
        missing = min(set(range(len(indices))) - indices.keys(), default=None)
        if missing is not None:
            last = max(indices)
            message = f"{kind}_{last} is declared, but {kind}_{missing} is not; number them without gaps"
            raise _error(message, text, indices[last], source)
    return {kind: len(indices) for kind, indices in found.items()}
