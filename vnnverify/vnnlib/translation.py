# SPDX-License-Identifier: Apache-2.0
"""A VNN-LIB 1.0 property as VNN-LIB 2.0 text: the same assertions, names, shapes and types of a model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from math import prod

from vnnverify.errors import SpecError
from vnnverify.query import Layout, TensorSpec
from vnnverify.vnnlib.ast import And, Compare, Expr, Number, Or, Term, Variable
from vnnverify.vnnlib.declaration import FLOATS, TensorDeclaration, element_name
from vnnverify.vnnlib.property import ParsedProperty

__all__ = ["translate"]

_OPERATORS = {"=": "=="}


def translate(prop: ParsedProperty, layout: Layout, network: str = "N") -> Iterator[str]:
    """The lines of the text. Numbers keep their value to the last digit.

    Tensors are called as in the model, as far as those are names in VNN-LIB. They have the model's element
    type; where a model has several, or whole numbers, all are declared real, since a comparison is about one
    type. Shapes have their dynamic axes as 1.

    Raises:
        SpecError: the property is VNN-LIB 2.0 already, or its counts do not fit the model.
    """
    if prop.networks:
        raise SpecError("is VNN-LIB 2.0 already; there is nothing to translate", source=prop.source)
    for what, declared, specs in (
        ("inputs X", prop.inputs, layout.inputs),
        ("outputs Y", prop.outputs, layout.outputs),
    ):
        found = sum(prod(spec.shape) for spec in specs)
        if declared != found:
            raise prop.error(f"the property declares {declared} {what}, the model has {found}")
    types = {spec.dtype for spec in (*layout.inputs, *layout.outputs)}
    kind = types.pop() if len(types) == 1 and types <= FLOATS else "real"
    taken = {network}
    inputs = _declared(layout.inputs, "input", "X", kind, taken)
    outputs = _declared(layout.outputs, "output", "Y", kind, taken)
    yield "(vnnlib-version <2.0>)"
    yield f"(declare-network {network}"
    for tensor in (*inputs, *outputs):
        yield f"    (declare-{tensor.kind} {tensor.name} {kind} [{','.join(map(str, tensor.shape))}])"
    yield ")"
    names = {"X": _elements(inputs), "Y": _elements(outputs)}
    for assertion in prop.assertions:
        yield f"(assert {_written(assertion, names)})"


def _declared(
    specs: Sequence[TensorSpec], kind: str, fallback: str, element_type: str, taken: set[str]
) -> list[TensorDeclaration]:
    tensors = []
    start = 0
    for spec in specs:
        name = re.sub(r"[^A-Za-z0-9_]+", "_", spec.name).strip("_")
        name = name if name[:1].isalpha() else fallback
        stem, number = name, 1
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        tensors.append(TensorDeclaration(name, element_type, spec.shape, kind, start))
        start += prod(spec.shape)
    return tensors


def _elements(tensors: Sequence[TensorDeclaration]) -> list[str]:
    """The name of every element, in order."""
    return [element_name(tensor, tensor.start + k) for tensor in tensors for k in range(tensor.size)]


def _written(expr: Expr, names: dict[str, list[str]]) -> str:
    """An expression as text; walked with a stack, as trees may be deep."""
    texts: list[str] = []
    pending: list[tuple[Expr | Term, bool]] = [(expr, False)]
    while pending:
        current, parts_done = pending.pop()
        if isinstance(current, Number):
            texts.append(_decimal(current))
        elif isinstance(current, Variable):
            texts.append(names[current.kind][current.index])
        else:
            parts = (current.lhs, current.rhs) if isinstance(current, Compare) else current.args
            if parts_done:
                texts[-len(parts) :] = [f"({_head(current)} {' '.join(texts[-len(parts) :])})"]
            else:
                pending.append((current, True))
                pending.extend((part, False) for part in reversed(parts))
    return texts[0]


def _head(node: Expr | Term) -> str:
    if isinstance(node, And | Or):
        return "and" if isinstance(node, And) else "or"
    assert not isinstance(node, Number | Variable)
    return _OPERATORS.get(node.operator, node.operator)


def _decimal(number: Number) -> str:
    """The exact literal without exponent and with a point, as float constants need it."""
    text = format(Decimal(number.text), "f")
    return text if "." in text else f"{text}.0"
