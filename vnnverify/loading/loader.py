# SPDX-License-Identifier: Apache-2.0
"""From files to one query."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from vnnverify.errors import OptionError
from vnnverify.importer import Model, read_model
from vnnverify.inputs.declared import Networks
from vnnverify.inputs.external import ModelFile, checksum, read_model_file
from vnnverify.inputs.files import identity
from vnnverify.loading.networks import (
    declared_interface,
    join,
    join_networks,
    load_networks,
    model_of,
    read_declared,
)
from vnnverify.loading.stated_shape import about_computed
from vnnverify.plugin.hookspecs import OperatorInfo
from vnnverify.query import Query
from vnnverify.vnnlib import ParsedProperty, load_property
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
        self._beside: dict[object, tuple[str, ...]] = {}  # data files of what was read
        self._hashes: dict[tuple[object, ...], str] = {}

    def load(self, path: str, *, opaque: bool = False, elements: int | None = None) -> Model:
        """The model at `path`. See `load_model`.

        Raises:
            FileError, ModelError: it cannot be read.
        """

        def read(data: bytes) -> Model:
            return read_model(data, path=path, opaque=opaque, operators=self._operators, elements=elements)

        return self._keep(path, (opaque, elements), read)

    def load_declared(self, network: NetworkDeclaration, path: str, *, opaque: bool = False) -> Model:
        """The model at `path` as a VNN-LIB 2.0 property declares it. See `networks.load_declared`.

        Raises:
            FileError, ModelError: it cannot be read, or has no such node.
        """

        def read(data: bytes) -> Model:
            return read_declared(network, data, path, opaque=opaque, operators=self._operators)

        return self._keep(path, (opaque, declared_interface(network)), read)

    def _keep(self, path: str, how: tuple[object, ...], read: Callable[[bytes], Model]) -> Model:
        """The model at the path that was read so before and kept, or else one that is read now."""
        key = (how, self._identity(path))
        model = self._kept.pop(key, None)
        if model is None:
            file = self._read(path)
            key = (how, file.identity)
            model = read(file.data)
        self._kept[key] = model
        while len(self._kept) > 1 and sum(len(m.data) for m in self._kept.values()) > self._room:
            self._kept.popitem(last=False)
        return model

    def _identity(self, path: str) -> tuple[object, ...]:
        """`ModelFile.identity` as it would be now, by what is known of the model's data files."""
        own = identity(path)
        return (own, *(identity(each) for each in self._beside.get((own,), ())))

    def _read(self, path: str) -> ModelFile:
        file = read_model_file(path)
        self._beside[file.identity[:1]] = file.beside
        return file

    def sha256(self, path: str) -> str:
        """The checksum of a file. See `external.checksum`.

        Raises:
            FileError, ModelError: it cannot be read.
        """
        key = self._identity(path)
        if key not in self._hashes:
            found, self._beside[key[:1]] = checksum(path)
            key = self._identity(path)
            self._hashes[key] = found
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
    return build_query(models.load(model, opaque=opaque, elements=prop.inputs), prop)


def build_query(model: Model, prop: ParsedProperty) -> Query:
    """The query that asks whether the model has an input at which the property's text holds.

    Raises:
        OptionError: the property is about several networks.
        SpecError: the two do not fit each other.
    """
    if prop.networks:
        if len(prop.networks) > 1:
            raise OptionError(f"{prop.source} is about several networks; `verify` takes a model for each")
        return join_networks(prop, [model_of(prop.networks[0], model)])
    return join(about_computed(prop, model), [model])
