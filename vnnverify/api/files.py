# SPDX-License-Identifier: Apache-2.0
"""Whatever a model or a property is given as, it becomes a file for the worker."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from vnnverify.api.exporting import export, export_program
from vnnverify.errors import ModelError, OptionError, SpecError, VnnverifyError
from vnnverify.inputs.declared import Networks
from vnnverify.inputs.external import check_whole
from vnnverify.inputs.roles import check_roles
from vnnverify.properties import Interface, Property, RelationalProperty
from vnnverify.results.report import Report

__all__ = ["Files", "given_as_files"]


@dataclass(frozen=True, slots=True)
class Files:
    """The files that are verified, and what they are called in a report."""

    model: Networks
    query: str
    model_name: Networks
    query_name: str
    folder: str  # where those lie that were made for this run

    def renamed(self, report: Report) -> Report:
        """The report without the places of files that are gone by now."""
        return dataclasses.replace(
            report,
            model=self.model_name,
            query=self.query_name,
            reason=report.reason.replace(f"{self.folder}{os.sep}", ""),
        )

    def reworded(self, error: VnnverifyError) -> VnnverifyError:
        """The error without the places of files that are gone by now."""
        text = str(error)
        plain = text.replace(f"{self.folder}{os.sep}", "")
        return error if plain == text else type(error)(plain)


@contextmanager
def given_as_files(model: Any, prop: Any, input_shape: Sequence[int] | None) -> Iterator[Files]:
    """The files of a model (path, bytes, `onnx.ModelProto`, `torch.onnx.ONNXProgram`, `torch.nn.Module`,
    `torch.export.ExportedProgram`, or several by the names that a VNN-LIB 2.0 property gives them) and of a
    property (path, VNN-LIB text, `Property`). Those that are made
    for it are removed afterwards.

    Raises:
        OptionError: something else was given, or a module without an input shape.
        ModelError: a module cannot be exported, or a model lacks tensors that lie in a file.
        SpecError: a `Property` is incomplete.
    """
    with tempfile.TemporaryDirectory(prefix="vnnverify-") as folder:
        if isinstance(model, Mapping):
            found = {
                key: _model_file(part, prop, input_shape, Path(folder), f"{key}.onnx")
                for key, part in model.items()
            }
            paths: Networks = {key: path for key, (path, _) in found.items()}
            names: Networks = {key: name for key, (_, name) in found.items()}
        else:
            paths, names = _model_file(model, prop, input_shape, Path(folder), "model.onnx")
        query_path, query_name = _property_file(prop, paths, Path(folder))
        if query_path == query_name and paths == names:
            check_roles(paths, query_path, "vnnverify.verify({model!r}, {query!r})")
        yield Files(paths, query_path, names, query_name, folder)


def _model_file(
    model: Any, prop: Any, input_shape: Sequence[int] | None, folder: Path, name: str
) -> tuple[str, str]:
    """Path and name of one model's file; a module's is called by its class if `name` is the usual one."""
    if isinstance(model, str | os.PathLike):
        return os.fspath(model), os.fspath(model)
    proto = getattr(model, "model_proto", model)  # of a torch.onnx.ONNXProgram
    if isinstance(model, bytes | bytearray | memoryview):
        data = bytes(model)
        check_whole(data)
    elif callable(getattr(proto, "SerializeToString", None)):  # an onnx.ModelProto
        data = _serialised(proto)
        check_whole(data)
    elif _is_program(model):
        data = export_program(model)
    elif _is_module(model):
        name = f"{type(model).__name__}.onnx" if name == "model.onnx" else name
        data = export(model, _shape(prop, input_shape))
    else:
        raise OptionError(
            "a model is a path, bytes, an onnx.ModelProto, a torch.nn.Module or what torch.export makes of "
            f"one, not {type(model).__name__}"
        )
    (folder / name).write_bytes(data)
    return str(folder / name), name


def _serialised(proto: Any) -> bytes:
    """The bytes of an onnx.ModelProto.

    Raises:
        ModelError: it is too large.
    """
    try:
        data: bytes = proto.SerializeToString()
    except Exception as error:  # protobuf's own exception types differ between its versions
        raise ModelError(f"the model cannot be written as bytes ({error}); it may be too large") from error
    return data


def _is_program(model: Any) -> bool:
    export = sys.modules.get("torch.export")
    return export is not None and isinstance(model, export.ExportedProgram)


def _is_module(model: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _shape(prop: Any, input_shape: Sequence[int] | None) -> Sequence[int]:
    if input_shape is not None:
        return input_shape
    if _is_built(prop) and prop.shape:
        shape: tuple[int, ...] = prop.shape
        return shape
    raise OptionError("to export a torch module its input_shape is needed, as in input_shape=(1, 3, 32, 32)")


def _is_built(prop: Any) -> bool:
    return isinstance(prop, Property | RelationalProperty)


def _property_file(prop: Any, model: Networks, folder: Path) -> tuple[str, str]:
    if isinstance(prop, os.PathLike):
        return os.fspath(prop), os.fspath(prop)
    if isinstance(prop, str):
        if not prop.lstrip().startswith(("(", ";")):
            return prop, prop
        text = prop
    elif isinstance(prop, RelationalProperty):
        text = prop.to_vnnlib(models=_of_both(prop, model))
    elif isinstance(prop, Property):
        if not isinstance(model, str):
            raise OptionError(
                "several models need a property in VNN-LIB 2.0, which names them, or Property.equal_outputs"
            )
        text = prop.to_vnnlib(prop.outputs if prop.outputs is not None else _output_count(prop, model))
    else:
        raise OptionError(
            f"a property is a path, VNN-LIB text or a vnnverify.Property, not {type(prop).__name__}"
        )
    path = folder / "property.vnnlib"
    path.write_text(text, encoding="utf-8")
    return str(path), path.name


def _of_both(prop: RelationalProperty, model: Networks) -> list[Interface]:
    """The tensors of the models of a property about two runs.

    Raises:
        OptionError: there is another number of models than it needs, or they have other names.
        FileError, ModelError, SpecError: one cannot be read, or declares no shapes.
    """
    if prop.relation.one_model:
        if not isinstance(model, str):
            raise OptionError("the property is about two runs of one model; give that one alone")
        return [_interface(model)]
    first, second = prop.networks
    if isinstance(model, str) or set(model) != {first, second}:
        raise OptionError(f"the property is about two networks; give {{{first!r}: model, {second!r}: other}}")
    return [_interface(model[first]), _interface(model[second])]


def _output_count(prop: Property, model: str) -> int:
    """How many outputs the model has for a property that does not tell.

    Raises:
        FileError, ModelError, SpecError: the model cannot be read, or does not declare its outputs' shape.
        SpecError: the property names a class, but the model gives several rows of them.
    """
    found = _interface(model)
    rows = [shape for shape in found.outputs if prod(shape) > 1]
    batch = prop.shape[0] if len(prop.shape) > 1 else 1
    batched = batch > 1 and any(shape[:1] == (batch,) for shape in found.outputs)
    several = len(rows) > 1 or any(sum(extent > 1 for extent in shape) > 1 for shape in rows)
    if prop.names_classes and (several or batched):
        shapes = " and ".join(str(list(shape)) for shape in found.outputs)
        each = f"; verify each of the {batch} inputs on its own" if batched else ""
        raise SpecError(
            f"{model} has outputs of shape {shapes}, and a class is one of all of them{each}, or say "
            f"classes={found.output_count} if that is meant"
        )
    return found.output_count


def _interface(model: str) -> Interface:
    """The shapes that a model declares, dynamic axes counting as 1.

    Raises:
        FileError: the model cannot be read.
        ModelError: it is no ONNX model.
        SpecError: it does not declare the shape of its inputs or outputs.
    """
    import onnx

    from vnnverify.inputs.files import read_bytes

    try:
        graph = onnx.load_model_from_string(read_bytes(model)).graph
    except VnnverifyError:
        raise
    except Exception as error:  # protobuf's own exception types differ between its versions
        raise ModelError(f"{model}: not an ONNX model, or truncated; export it again") from error
    constants = {tensor.name for tensor in graph.initializer}
    shapes: list[tuple[tuple[int, ...], ...]] = []
    for what, values in (("inputs", graph.input), ("outputs", graph.output)):
        types = [value.type.tensor_type for value in values if value.name not in constants]
        if not types or not all(kind.HasField("shape") for kind in types):
            raise SpecError(
                f"{model} does not declare its {what}' shape; give keeps_class(label, classes=…), or the "
                "property as VNN-LIB text"
            )
        shapes.append(tuple(tuple(max(1, axis.dim_value) for axis in kind.shape.dim) for kind in types))
    return Interface(*shapes)
