# SPDX-License-Identifier: Apache-2.0
"""The networks that a VNN-LIB 2.0 property declares: found among the given models, joined into one query."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence

from vnnverify.errors import ModelError, OptionError, SpecError
from vnnverify.importer import Model, read_model
from vnnverify.importer.interface import Interface, adapted
from vnnverify.inputs.declared import Declared, Networks
from vnnverify.inputs.external import read_model_file
from vnnverify.ir import Graph
from vnnverify.loading.compose import side_by_side, with_shared_inputs
from vnnverify.loading.fitting import check_fit, declared_tensors
from vnnverify.loading.replay import PropertySource
from vnnverify.plugin.hookspecs import OperatorInfo
from vnnverify.query import Layout, Query, TensorSpec
from vnnverify.simplify import simplify
from vnnverify.vnnlib import ParsedProperty, normalize
from vnnverify.vnnlib.declaration import FLOATS, NetworkDeclaration
from vnnverify.vnnlib.merging import merge_equal_inputs

__all__ = [
    "assign_models",
    "declared_interface",
    "join",
    "join_networks",
    "load_networks",
    "model_of",
    "read_declared",
    "truncated",
]

logger = logging.getLogger(__name__)


def load_networks(
    prop: ParsedProperty,
    given: Networks,
    load: Callable[[NetworkDeclaration, str], Model],
    *,
    strict: bool = False,
) -> Query:
    """Read the models of a VNN-LIB 2.0 property and join all of it into one query.

    Args:
        given: paths by the names of networks; one path alone if the property needs one model.
        load: reads the model at a path for a network, as `Models.load_declared` does.
        strict: keep to the letter of the standard: refuse properties about floats, as proofs are about real
            numbers, and shapes that are not the model's.

    Raises:
        OptionError: models are missing, or given for networks that have none of their own.
        ModelError, SpecError: a model is malformed, or does not fit its declaration.
    """
    floats = sorted({t.type for network in prop.networks for t in network.tensors} & FLOATS)
    if floats and strict:
        raise SpecError(
            f"declares {' and '.join(floats)}, but proofs are about real numbers (--strict); "
            "declare the tensors real, or leave the option out",
            source=prop.source,
        )
    paths = assign_models(prop, given)
    read: dict[object, Model] = {}
    models = []
    for network in prop.networks:
        path = paths[network.equal_to or network.name]
        key = (path, declared_interface(network))
        if key not in read:
            read[key] = load(network, path)
        models.append(read[key])
    query = join_networks(prop, models, strict=strict)
    if floats:
        logger.warning(
            "%s declares %s: proofs are about the real numbers, witnesses about the floats",
            prop.source,
            " and ".join(floats),
        )
    return query


def declared_interface(network: NetworkDeclaration) -> Interface:
    """What of the declaration a network's model depends on, besides its file."""
    return Interface(
        shapes=tuple(t.shape for t in network.inputs),
        hidden=tuple((t.node, t.shape) for t in network.hidden),
        inputs=tuple(t.node for t in network.inputs if t.node),
        outputs=tuple(t.node for t in network.outputs if t.node),
    )


def read_declared(
    network: NetworkDeclaration,
    data: bytes,
    path: str,
    *,
    opaque: bool = False,
    operators: tuple[OperatorInfo, ...] = (),
) -> Model:
    """The model in these bytes with its dynamic axes as declared, and the declared hidden nodes as outputs.

    Args:
        path: where it was read, for messages.
        opaque: accept a model with operators that the importer cannot read, as a black box.

    Raises:
        ModelError: it cannot be read, or has no such node.
    """
    data = _adapted(network, data, path)
    return read_model(data, path=path, opaque=opaque, operators=operators)


def model_of(network: NetworkDeclaration, model: Model) -> Model:
    """The model with its dynamic axes as declared, and the declared hidden nodes as outputs.

    Raises:
        ModelError: it has no such node.
    """
    data = _adapted(network, model.data, model.path)
    return model if data is model.data else read_model(data, path=model.path)


def join_networks(prop: ParsedProperty, models: Sequence[Model], *, strict: bool = False) -> Query:
    """The query of a VNN-LIB 2.0 property about its networks' models, one for each.

    A tensor that is declared flat, or with other axes of one than the model has, means the model's elements
    in their order, which a warning says, unless `strict`.

    Raises:
        SpecError: a model does not fit its declaration.
    """
    for network, model in zip(prop.networks, models, strict=True):
        check_fit(prop, network, model, strict=strict)
    tensors = tuple(t for pair in zip(prop.networks, models, strict=True) for t in declared_tensors(*pair))
    return join(prop, models, tensors)


def join(prop: ParsedProperty, models: Sequence[Model], tensors: tuple[Declared, ...] = ()) -> Query:
    """The query of a property about models side by side, in which inputs that it sets equal are one.

    Args:
        tensors: what a VNN-LIB 2.0 text declares.

    Raises:
        SpecError: they do not fit each other.
    """
    specs = tuple(spec for model in models for spec in model.layout.inputs)
    types = [spec.dtype for spec, size in _sized(specs) for _ in range(size)]
    if prop.inputs == len(types):  # else it is refused below
        prop = merge_equal_inputs(prop, types)
    graph = _joined(prop, models)
    outputs = tuple(spec for model in models for spec in model.layout.outputs)
    layout = Layout(specs, outputs, tensors, prop.columns)
    query = normalize(prop, graph, layout, PropertySource(models, layout, prop, ()))
    source = PropertySource(models, layout, prop, query.clauses, query.graph)
    return dataclasses.replace(query, source=source, truncated=truncated(query, models))


def truncated(query: Query, models: Sequence[Model]) -> tuple[int, ...]:
    """The inputs of which the query's outputs depend on the whole part only; none where several models share
    them, or where the property itself is about inputs and outputs together."""
    (first, *others) = models
    alone = not others and query.layout.columns is None
    return first.truncated if alone and query.graph.output_size == first.graph.output_size else ()


def assign_models(prop: ParsedProperty, given: Networks) -> dict[str, str]:
    """The path of the model of each network that needs one of its own.

    Lists of instances name a model for `equal-to` networks too; it has to be the same file.

    Raises:
        OptionError: models are missing, too many, or an equal network has another model.
    """
    needed = [network.name for network in prop.networks if not network.equal_to]
    equal = {network.name: network.equal_to for network in prop.networks if network.equal_to}
    if isinstance(given, str):
        if len(needed) > 1:
            usage = " ".join(f"--network {name}=MODEL" for name in needed)
            raise OptionError(f"{prop.source} is about several networks; give {usage}")
        return {needed[0]: given}
    for name in given:
        if name not in needed and name not in equal:
            declared = ", ".join(needed)
            raise OptionError(f"{prop.source} declares no network {name!r}; it declares {declared}")
    for name in needed:
        if name not in given:
            raise OptionError(
                f"no model given for network {name} of {prop.source}; add --network {name}=MODEL.onnx"
            )
    for name, other in equal.items():
        if name in given and read_model_file(given[name]).data != read_model_file(given[other]).data:
            raise OptionError(
                f"network {name} is equal-to {other}, but its model {given[name]} is not {given[other]}"
            )
    return {name: given[name] for name in needed}


def _adapted(network: NetworkDeclaration, data: bytes, path: str) -> bytes:
    try:
        return adapted(data, declared_interface(network))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _sized(specs: Sequence[TensorSpec]) -> list[tuple[TensorSpec, int]]:
    return [(spec, math.prod(spec.shape)) for spec in specs]


def _joined(prop: ParsedProperty, models: Sequence[Model]) -> Graph:
    if len(models) == 1 and prop.columns is None:
        return models[0].graph
    graph = models[0].graph
    if len(models) > 1:
        graph = side_by_side([m.graph for m in models], [network.name for network in prop.networks])
    if prop.columns is not None:
        graph = with_shared_inputs(graph, prop.columns)
    return simplify(graph)
