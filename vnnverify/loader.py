# SPDX-License-Identifier: Apache-2.0
"""From files to one query."""

from __future__ import annotations

import dataclasses

from vnnverify.declared import Networks
from vnnverify.errors import OptionError
from vnnverify.hookspecs import OperatorInfo
from vnnverify.importer import Model, load_model
from vnnverify.networks import join_networks, load_networks
from vnnverify.query import Query
from vnnverify.validate import OnnxSource
from vnnverify.vnnlib import Property, load_property, normalize

__all__ = ["build_query", "load_query"]


def load_query(
    model: Networks,
    property_path: str,
    *,
    opaque: bool = False,
    operators: tuple[OperatorInfo, ...] = (),
    strict_types: bool = False,
) -> Query:
    """Read one or several models and a property and bring them into the normal form.

    Args:
        model: the path of the model; or paths by the names of a VNN-LIB 2.0 property's networks.
        opaque: accept a model with operators that the importer cannot read, as a black box.
        operators: readers of further ONNX operators, from plugins.
        strict_types: refuse VNN-LIB 2.0 properties about floats instead of real numbers.

    Raises:
        OptionError: models are missing or too many.
        ModelError, SpecError: a file is malformed, or the two do not fit each other.
    """
    prop = load_property(property_path)
    if prop.networks:
        return load_networks(prop, model, opaque=opaque, operators=operators, strict_types=strict_types)
    if not isinstance(model, str):
        if len(model) != 1:
            raise OptionError(
                f"{property_path} is VNN-LIB 1.0, which is about one network; give one --network"
            )
        (model,) = model.values()
    return build_query(load_model(model, opaque=opaque, operators=operators), prop)


def build_query(model: Model, prop: Property) -> Query:
    """The query that asks whether the model has an input at which the property's text holds.

    Raises:
        OptionError: the property is about several networks.
        SpecError: the two do not fit each other.
    """
    if prop.networks:
        if len(prop.networks) > 1:
            raise OptionError(f"{prop.source} is about several networks")
        return join_networks(prop, [model])
    query = normalize(prop, model.graph, model.layout, OnnxSource(model, prop, ()))
    return dataclasses.replace(query, source=OnnxSource(model, prop, query.clauses))
