# SPDX-License-Identifier: Apache-2.0
"""Which of the files given is the model and which the property, told by how they begin."""

from __future__ import annotations

import os
from collections.abc import Mapping

from vnnverify.errors import FileError, OptionError
from vnnverify.inputs.declared import Networks
from vnnverify.inputs.dialect import first_statement, resembles_protobuf
from vnnverify.inputs.files import read_start

__all__ = ["MODEL", "PROPERTY", "TEXT", "check_roles", "role_of"]

MODEL, PROPERTY, TEXT = "model", "property", "text"
"""A binary file, as ONNX models are; VNN-LIB text; any other text."""

_START = 1 << 16
_STATEMENTS = frozenset(
    (
        "assert", "declare-const", "declare-fun", "declare-hidden", "declare-input", "declare-network",
        "declare-output", "set-info", "set-logic", "set-option", "vnnlib-version",
    )
)  # fmt: skip


def role_of(path: str) -> str:
    """What a file may serve as; nothing if it cannot be read, is empty or no regular file."""
    if not (os.path.isfile(path) or os.path.isfile(f"{path}.gz")):
        return ""
    try:
        start = read_start(path, _START)
    except FileError:
        return ""
    if first_statement(start.decode("utf-8", errors="replace")) in _STATEMENTS:
        return PROPERTY
    if resembles_protobuf(start):
        return MODEL
    return TEXT if start and b"\0" not in start else ""


def check_roles(model: Networks, query: str, usage: str) -> None:
    """Refuse models and a property that have changed places, or are neither.

    Args:
        usage: how to give them, with {model} and {query} in their places.

    Raises:
        OptionError: one is not what it is given as.
    """
    models = list(model.values()) if isinstance(model, Mapping) else [model]
    found = [(path, role_of(path)) for path in models]
    asked = role_of(query)
    wrong = next(((path, role) for path, role in found if role in (PROPERTY, TEXT)), None)
    if asked == MODEL and wrong is not None and wrong[1] == PROPERTY:
        right = usage.format(model=query, query=wrong[0])
        raise OptionError(f"{wrong[0]} is a property and {query} a model: they are swapped; write {right}")
    if asked == MODEL:
        right = usage.format(model=query, query="QUERY")
        raise OptionError(f"{query} is a binary file, as models are, not a property; write {right}")
    if wrong is not None:
        what = "a property" if wrong[1] == PROPERTY else "text"
        right = usage.format(model="MODEL.onnx", query=query)
        raise OptionError(f"{wrong[0]} is {what}, not an ONNX model; write {right}")
