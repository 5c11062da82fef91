# SPDX-License-Identifier: Apache-2.0
"""Whether a model has the tensors that a VNN-LIB 2.0 text declares of its network."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from math import prod

from vnnverify.errors import SpecError
from vnnverify.importer import Model
from vnnverify.inputs.declared import Declared
from vnnverify.ir import Shape
from vnnverify.query import TensorSpec
from vnnverify.vnnlib import ParsedProperty
from vnnverify.vnnlib.declaration import NetworkDeclaration, TensorDeclaration

__all__ = ["check_fit", "declared_tensors"]

logger = logging.getLogger(__name__)


def check_fit(
    prop: ParsedProperty, network: NetworkDeclaration, model: Model, *, strict: bool = False
) -> None:
    """That the model has the declared tensors, in number, order, shape and type.

    Args:
        strict: refuse shapes that mean the model's elements in order, but are not the model's.

    Raises:
        SpecError: it has not.
    """
    for what, declared, found in (
        ("inputs", network.inputs, model.layout.inputs),
        ("outputs", network.outputs, _own_outputs(network, model)),
    ):
        if len(declared) != len(found):
            listed = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in found)
            message = f"network {network.name} declares {len(declared)} {what}, its model {model.path} has "
            raise _misfit(
                prop, network, f"{message}{len(found)} ({listed}); declare all of them, in this order"
            )
    for tensor, spec in _pairs(network, model):
        _check_type(prop, network, tensor, spec, model.path)
        if tensor.shape == spec.shape:
            continue
        name = tensor.node or spec.name
        what = f"{tensor.kind} {tensor.name} is declared {list(tensor.shape)}, {name!r} of {model.path}"
        if strict or not same_order(tensor.shape, spec.shape):
            raise _misfit(prop, network, f"{what} has the shape {list(spec.shape)}; declare that one")
        logger.warning(
            "%s: %s has the shape %s; read as its elements in order", prop.source, what, list(spec.shape)
        )


def declared_tensors(network: NetworkDeclaration, model: Model) -> Iterator[Declared]:
    """The network's tensors, in the order of the text, as a witness is written down by: whole numbers of the
    model's type have that type."""
    types = {tensor.name: spec.dtype for tensor, spec in _pairs(network, model)}
    for tensor in network.tensors:
        kind = types[tensor.name] if tensor.type == "int" else tensor.type
        yield Declared(tensor.name, kind, tensor.shape, tensor.kind, tensor.start)


def same_order(declared: Shape, found: Shape) -> bool:
    """Whether a declared shape leaves no doubt about which element is which of a tensor of another shape: it
    is flat, or differs by axes of one."""
    if prod(declared) != prod(found):
        return False
    inner, other = ([extent for extent in shape if extent != 1] for shape in (declared, found))
    return len(inner) <= 1 or inner == other


def _pairs(network: NetworkDeclaration, model: Model) -> Iterator[tuple[TensorDeclaration, TensorSpec]]:
    yield from zip(network.inputs, model.layout.inputs, strict=True)
    yield from zip((*network.outputs, *network.hidden), model.layout.outputs, strict=True)


def _own_outputs(network: NetworkDeclaration, model: Model) -> tuple[TensorSpec, ...]:
    return model.layout.outputs[: len(model.layout.outputs) - len(network.hidden)]


def _check_type(
    prop: ParsedProperty, network: NetworkDeclaration, tensor: TensorDeclaration, spec: TensorSpec, path: str
) -> None:
    whole = spec.dtype.startswith(("int", "uint", "bool"))
    if tensor.type in ("real", spec.dtype) or (tensor.type == "int" and whole):
        return
    kind = "Int" if tensor.type == "int" else tensor.type
    message = f"{tensor.kind} {tensor.name} is declared {kind}, {tensor.node or spec.name!r} of {path} is"
    raise _misfit(prop, network, f"{message} {spec.dtype}; declare that one, or real throughout")


def _misfit(prop: ParsedProperty, network: NetworkDeclaration, message: str) -> SpecError:
    offset = prop.text.find(f"declare-network {network.name}")
    return prop.error(message, max(0, offset))
