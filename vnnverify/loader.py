# SPDX-License-Identifier: Apache-2.0
"""From two files to one query."""

from __future__ import annotations

import dataclasses

from vnnverify.hookspecs import OperatorInfo
from vnnverify.importer import Model, load_model
from vnnverify.query import Query
from vnnverify.validate import OnnxSource
from vnnverify.vnnlib import Property, load_property, normalize

__all__ = ["build_query", "load_query"]


def load_query(
    model_path: str, property_path: str, *, opaque: bool = False, operators: tuple[OperatorInfo, ...] = ()
) -> Query:
    """Read a model and a property and bring them into the normal form.

    Args:
        opaque: accept a model with operators that the importer cannot read, as a black box.
        operators: readers of further ONNX operators, from plugins.

    Raises:
        ModelError, SpecError: a file is malformed, or the two do not fit each other.
    """
    prop = load_property(property_path)
    return build_query(load_model(model_path, opaque=opaque, operators=operators), prop)


def build_query(model: Model, prop: Property) -> Query:
    """The query that asks whether the model has an input at which the property's text holds."""
    query = normalize(prop, model.graph, model.layout, OnnxSource(model, prop, ()))
    return dataclasses.replace(query, source=OnnxSource(model, prop, query.clauses))
