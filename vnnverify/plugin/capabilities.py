# SPDX-License-Identifier: Apache-2.0
"""What this verifier can do, in the vocabulary of the VNN-LIB standard. Imports neither torch nor onnx."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vnnverify.plugin.hookspecs import OperatorInfo

__all__ = ["CAPABILITIES", "ELEMENT_TYPES", "OPSETS", "built_in_operators", "onnx_operators"]

OPSETS = (7, 28)
"""The oldest and the newest ONNX operator set that is read."""

ELEMENT_TYPES = ("real", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "bool")
"""Declared element types that are accepted. What is computed with floats is analysed over the reals."""

_WITHOUT_READER = (
    "ConcatFromSequence", "Constant", "ConstantOfShape", "EyeLike", "If", "Loop", "Optional",
    "OptionalGetElement", "OptionalHasElement", "Scan", "SequenceAt", "SequenceConstruct", "SequenceEmpty",
    "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap", "Shape", "Size", "SplitToSequence",
)  # fmt: skip
"""Read by the importer itself, or nothing but constants."""


def built_in_operators() -> list[str]:
    """Names of the ONNX operators that the importer reads, sorted: those its readers are registered for,
    taken from their source, as running it would import torch and onnx."""
    names = set(_WITHOUT_READER)
    for entry in files("vnnverify").joinpath("importer", "readers").iterdir():
        if entry.name.endswith(".py"):
            names.update(_registered(ast.parse(entry.read_text(encoding="utf-8"))))
    return sorted(names)


def _registered(tree: ast.Module) -> Iterator[str]:
    """Arguments of the decorators @reads(…) for ONNX's domain, those from a table (`*TABLE`) too."""
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if not isinstance(call, ast.Call) or any(word.arg == "domain" for word in call.keywords):
                continue
            if isinstance(call.func, ast.Name) and call.func.id == "reads":
                for argument in call.args:
                    yield from _texts(argument, tables)


def _texts(argument: ast.expr, tables: Mapping[str, ast.expr]) -> Iterator[str]:
    if isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Name):
        table = tables[argument.value.id]
        keys = table.keys if isinstance(table, ast.Dict) else getattr(table, "elts", ())
        for key in keys:
            if key is not None:
                yield from _texts(key, tables)
    elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value


def onnx_operators(more: Iterable[OperatorInfo]) -> list[str]:
    """Names of ONNX's own operators that are read, sorted: built in, and those among what plugins read. The
    standard's list has no word for another domain, whose names can be the same."""
    return sorted({*built_in_operators(), *(info.op_type for info in more if info.domain in ("", "ai.onnx"))})


def _operators() -> list[str]:
    from vnnverify.plugin.manager import load_plugins

    return onnx_operators(load_plugins().operators)


CAPABILITIES: dict[str, Callable[[], Iterable[str]]] = {
    "onnx-opset-versions": lambda: map(str, OPSETS),
    "onnx-element-types": lambda: ELEMENT_TYPES,
    "onnx-operators": _operators,
    "vnnlib-versions": lambda: ("1.0", "2.0"),
    "hidden-node-theories": lambda: ("NH", "H"),
    "multiple-input-output-theories": lambda: ("SIO", "MIO"),
    "multiple-network-theories": lambda: ("SNET", "MENET", "MINET", "MNET"),
    "multiple-node-comparison-theories": lambda: ("SNC", "MNC"),
    "arithmetic-complexity-theories": lambda: ("BND", "OUTC", "LIN", "POLY"),
    "optimised-disjunctive-reasoning": lambda: ("true",),
    "serialise-assignments": lambda: ("true",),
}
"""The lines of each answer, by the name of the standard's flag."""
