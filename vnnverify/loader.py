# SPDX-License-Identifier: Apache-2.0
"""From files to one query."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from vnnverify.declared import Networks
from vnnverify.errors import OptionError
from vnnverify.files import identity, read_bytes
from vnnverify.hookspecs import OperatorInfo
from vnnverify.importer import Model, load_model
from vnnverify.networks import (
    declared_interface,
    join_networks,
    load_declared,
    load_networks,
    model_of,
    truncated,
)
from vnnverify.query import Query
from vnnverify.validate import OnnxSource
from vnnverify.vnnlib import Property, load_property, normalize
from vnnverify.vnnlib.declaration import NetworkDeclaration

__all__ = ["Models", "build_query", "load_query"]


class Models:
    """Reads models, and gives the same one again as long as its file stays as it is.

    Args:
        operators: readers of further ONNX operators, from plugins.
        room: bytes of ONNX data up to which earlier models are kept; the last one always is.
    """

    def __init__(self, operators: tuple[OperatorInfo, ...] = (), room: int = 256 << 20) -> None:
        self._operators = operators
        self._room = room
        self._kept: OrderedDict[tuple[object, ...], Model] = OrderedDict()
        self._hashes: dict[tuple[object, ...], str] = {}

    def load(self, path: str, *, opaque: bool = False) -> Model:
        """The model at `path`. See `load_model`.

        Raises:
            FileError, ModelError: it cannot be read.
        """
        return self._keep(
            (opaque, *identity(path)), lambda: load_model(path, opaque=opaque, operators=self._operators)
        )

    def load_declared(self, network: NetworkDeclaration, path: str, *, opaque: bool = False) -> Model:
        """The model at `path` as a VNN-LIB 2.0 property declares it. See `networks.load_declared`.

        Raises:
            FileError, ModelError: it cannot be read, or has no such node.
        """
        key = (opaque, declared_interface(network), *identity(path))
        return self._keep(key, lambda: load_declared(network, path, opaque=opaque, operators=self._operators))

    def _keep(self, key: tuple[object, ...], read: Callable[[], Model]) -> Model:
        """The model that was kept under the key, or else one that is read now."""
        model = self._kept.pop(key, None)
        if model is None:
            model = read()
        self._kept[key] = model
        while len(self._kept) > 1 and sum(len(m.data) for m in self._kept.values()) > self._room:
            self._kept.popitem(last=False)
        return model

    def sha256(self, path: str) -> str:
        """The checksum of the file's uncompressed content.

        Raises:
            FileError: it cannot be read.
        """
        key = identity(path)
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(read_bytes(path)).hexdigest()
        return self._hashes[key]


def load_query(
    model: Networks,
    property_path: str,
    *,
    opaque: bool = False,
    operators: tuple[OperatorInfo, ...] = (),
    strict: bool = False,
    models: Models | None = None,
) -> Query:
    """Read one or several models and a property and bring them into the normal form.

    Args:
        model: the path of the model; or paths by the names of a VNN-LIB 2.0 property's networks.
        opaque: accept a model with operators that the importer cannot read, as a black box.
        operators: readers of further ONNX operators, from plugins.
        strict: keep to the letter of VNN-LIB 2.0: refuse other words and shapes, and properties about floats
            instead of real numbers.
        models: reads the models, and knows those read before; default: anew.

    Raises:
        OptionError: models are missing or too many.
        ModelError, SpecError: a file is malformed, or the two do not fit each other.
    """
    prop = load_property(property_path, strict=strict)
    models = models or Models(operators)
    if prop.networks:
        load = partial(models.load_declared, opaque=opaque)
        return load_networks(prop, model, load, strict=strict)
    if not isinstance(model, str):
        if len(model) != 1:
            raise OptionError(
                f"{property_path} is VNN-LIB 1.0, which is about one network; give one --network"
            )
        (model,) = model.values()
    return build_query(models.load(model, opaque=opaque), prop)


def build_query(model: Model, prop: Property) -> Query:
    """The query that asks whether the model has an input at which the property's text holds.

    Raises:
        OptionError: the property is about several networks.
        SpecError: the two do not fit each other.
    """
    if prop.networks:
        if len(prop.networks) > 1:
            raise OptionError(f"{prop.source} is about several networks; `verify` takes a model for each")
        return join_networks(prop, [model_of(prop.networks[0], model)])
    query = normalize(prop, model.graph, model.layout, OnnxSource(model, prop, ()))
    source = OnnxSource(model, prop, query.clauses, query.graph)
    return dataclasses.replace(query, source=source, truncated=truncated(query, [model]))
