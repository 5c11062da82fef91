# SPDX-License-Identifier: Apache-2.0
"""Models some of whose tensors lie in files beside them, as exporters write them: `x.onnx`, `x.onnx.data`.

The data files are read into the model, so that nothing else needs to know of them. They have to lie in the
model's own folder; links are not followed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from vnnverify.errors import FileError, ModelError
from vnnverify.inputs.files import LFS_MAGIC, identity, read_bytes

if TYPE_CHECKING:
    import onnx

__all__ = ["MOST_BYTES", "ModelFile", "check_whole", "checksum", "read_model_file", "refuse_external"]

MOST_BYTES = (1 << 31) - 1
"""Largest model with all its tensors inside: protobuf's own limit."""

_BITS = {"INT2": 2, "UINT2": 2, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4}
"""Types of which several numbers share a byte."""
_FIELDS = (
    "data_location", "external_data", "double_data", "float_data", "int32_data", "int64_data", "uint64_data",
)  # fmt: skip
"""What of a tensor makes no sense once its bytes are there."""
_MARK = b"location"
"""What a model with tensors elsewhere holds, whatever else."""
_REMEDY = "save the model as one file (onnx.save with save_as_external_data=False)"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model as it was read."""

    data: bytes  # uncompressed ONNX that holds all of its tensors
    beside: tuple[str, ...]  # paths of the data files, sorted by name
    identity: tuple[object, ...]  # what changes when another content would be read


@dataclass(frozen=True, slots=True)
class _Part:
    """Where a tensor's bytes lie."""

    place: str  # of the tensor, for messages
    tensor: onnx.TensorProto
    file: str
    start: int
    size: int


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """The model at `path`, plain or gzipped, with the data files beside it, plain or as FILE.gz.

    Raises:
        FileError: it cannot be read, or a data file is missing or can't be.
        ModelError: it is no ONNX model, a tensor lies elsewhere than in its folder, or the places that it
            states do not fit the tensors, the files or each other.
    """
    own = identity(path)
    content = read_bytes(path)
    proto = _with_tensors_elsewhere(content)
    if proto is None:
        return ModelFile(content, (), (own,))
    try:
        parts = _parts(proto)
        _check_sizes(parts, len(content))
        folder = Path(path).parent
        names = sorted({part.file for part in parts})
        paths = tuple(str(folder / name) for name in names)
        whole = (own, *(identity(each) for each in paths))
        for name in names:
            _fill(folder / name, [part for part in parts if part.file == name])
        data = proto.SerializeToString()
    except (FileError, ModelError) as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error
    return ModelFile(data, paths, whole)


def checksum(path: str | os.PathLike[str]) -> tuple[str, tuple[str, ...]]:
    """The SHA-256 of a file's uncompressed content, and the paths of its data files if it is a model.

    Their contents are taken to follow the model's own, in the order of their names.

    Raises:
        FileError: one of them cannot be read.
        ModelError: a tensor lies elsewhere than in the model's folder.
    """
    content = read_bytes(path)
    found = hashlib.sha256(content)
    proto = _with_tensors_elsewhere(content)
    if proto is None:
        return found.hexdigest(), ()
    try:
        names = {_file_of(place, tensor) for place, tensor in _elsewhere(proto)}
        beside = [Path(path).parent / name for name in sorted(names)]
        for each in beside:
            with _opened(each) as data:
                for chunk in data.chunks():
                    found.update(chunk)
    except (FileError, ModelError) as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error
    return found.hexdigest(), tuple(map(str, beside))


def check_whole(data: bytes) -> None:
    """That the model in these bytes, if it is one, holds all of its tensors.

    Raises:
        ModelError: it does not.
    """
    proto = _with_tensors_elsewhere(data)
    if proto is not None:
        refuse_external(proto)


def refuse_external(proto: onnx.ModelProto) -> None:
    """That the model holds all of its tensors.

    Raises:
        ModelError: one lies in another file.
    """
    for place, tensor in _elsewhere(proto):
        raise ModelError(
            f"{place} lies in the external file {_location(tensor)!r}, which is not among the model's bytes; "
            "give the model's path, or load it with onnx.load, which reads that file too"
        )


def _location(tensor: onnx.TensorProto) -> str:
    """The file that the tensor names, as the model writes it."""
    stated = {str(entry.key): str(entry.value) for entry in tensor.external_data}
    return stated.get("location", "?")


def _tensors(proto: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every tensor of a model, also inside nodes and functions, with its place for messages."""
    graphs = [proto.graph]
    nodes = [node for function in proto.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from ((f"initializer {t.name!r}", t) for t in graph.initializer)
            for sparse in graph.sparse_initializer:
                place = f"initializer {sparse.values.name!r}"
                yield from ((place, t) for t in (sparse.values, sparse.indices))
            nodes.extend(graph.node)
            continue
        node = nodes.pop()
        place = f"a constant of node {node.name or node.op_type!r}"
        for attribute in node.attribute:
            graphs += [attribute.g] if attribute.HasField("g") else []
            graphs += attribute.graphs
            tensors = [attribute.t] if attribute.HasField("t") else []
            tensors += attribute.tensors
            thin = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in (*thin, *attribute.sparse_tensors):
                tensors += (sparse.values, sparse.indices)
            yield from ((place, tensor) for tensor in tensors)


def _with_tensors_elsewhere(content: bytes) -> onnx.ModelProto | None:
    """The model in these bytes if some of its tensors lie in other files; None also if it cannot be read."""
    if _MARK not in content:
        return None
    import onnx

    try:
        proto = onnx.load_model_from_string(content)
    except Exception:  # protobuf's own types; the importer says what is wrong
        return None
    return proto if any(True for _ in _elsewhere(proto)) else None


def _elsewhere(proto: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    return ((place, tensor) for place, tensor in _tensors(proto) if tensor.data_location == tensor.EXTERNAL)


def _file_of(place: str, tensor: onnx.TensorProto) -> str:
    """The name of the file in the model's folder that holds the tensor.

    Raises:
        ModelError: it lies elsewhere.
    """
    location = _location(tensor)
    name = location
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    apart = "/\\:" if os.name == "nt" else "/\\"
    if name in ("", "?", ".", "..") or any(c in name for c in apart) or not name.isprintable():
        raise ModelError(
            f"{place} lies in the external file {location!r}, which is not read; {_REMEDY}, or its data in a "
            "file in the model's own folder"
        )
    return name


def _parts(proto: onnx.ModelProto) -> list[_Part]:
    """Where the tensors lie that are elsewhere, as far as that can be told without the files.

    Raises:
        ModelError: what is stated makes no sense.
    """
    found = []
    for place, tensor in _elsewhere(proto):
        name = _file_of(place, tensor)
        stated = {entry.key: entry.value for entry in tensor.external_data}
        size = _size(place, tensor)
        start = _number(place, "offset", stated.get("offset", "0"))
        length = _number(place, "length", stated["length"]) if "length" in stated else size
        if length != size:
            raise ModelError(
                f"{place} takes {size:,} bytes, but the model states {length:,} in {name!r}; export it again"
            )
        found.append(_Part(place, tensor, name, start, size))
    return found


def _number(place: str, key: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise ModelError(
            f"{place} states the {key} {text[:40]!r}, which is no number of bytes; export it again"
        )
    return int(text)


def _size(place: str, tensor: onnx.TensorProto) -> int:
    """Bytes of the tensor's elements, packed as in files."""
    import onnx

    try:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type)
        if kind == "STRING":
            raise ValueError(kind)
        bits = _BITS.get(kind) or 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{place} lies in another file, but has no type of numbers; export it again"
        ) from error
    if any(extent < 0 for extent in tensor.dims):
        raise ModelError(f"{place} has the shape {list(tensor.dims)}; export it again")
    return int(-(-prod(tensor.dims) * bits // 8))


def _check_sizes(parts: list[_Part], own: int) -> None:
    """That all of it together is no larger than a model may be, and that no byte is read twice.

    Raises:
        ModelError: it is, or two tensors overlap.
    """
    total = own + sum(part.size for part in parts)
    if total > MOST_BYTES:
        raise ModelError(f"takes {total:,} bytes with its data files, more than {MOST_BYTES:,}; refused")
    last: dict[str, _Part] = {}
    for part in sorted((p for p in parts if p.size), key=lambda p: p.start):
        before = last.get(part.file)
        if before is not None and part.start < before.start + before.size:
            raise ModelError(
                f"{before.place} and {part.place} overlap in the external file {part.file!r}; export it again"
            )
        last[part.file] = part


def _fill(path: Path, parts: list[_Part]) -> None:
    """Read the tensors that lie in one file into the model.

    Raises:
        FileError: the file is missing, no plain file, or cannot be read.
        ModelError: it is too short.
    """
    with _opened(path) as data:
        if data.read(0, min(data.size, len(LFS_MAGIC))) == LFS_MAGIC:
            raise FileError(
                f"its data file {path} holds a git-LFS pointer, not the content; run `git lfs pull` where "
                "it came from"
            )
        for part in parts:
            if part.start + part.size > data.size:
                raise ModelError(
                    f"{part.place} ends at byte {part.start + part.size:,} of the external file "
                    f"{part.file!r}, which has {data.size:,}; it is cut off, or not the model's; "
                    "export both again"
                )
        for part in parts:
            tensor = part.tensor
            for unused in _FIELDS:
                tensor.ClearField(unused)
            tensor.raw_data = data.read(part.start, part.size)


class _Data:
    """An open data file; `size` in bytes."""

    def __init__(self, path: Path, descriptor: int | None, content: bytes = b"") -> None:
        self._path = path
        self._descriptor = descriptor
        self._content = content
        self.size = len(content) if descriptor is None else os.fstat(descriptor).st_size

    def __enter__(self) -> _Data:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def read(self, start: int, size: int) -> bytes:
        """Bytes from one place on.

        Raises:
            FileError: there are not so many.
        """
        if self._descriptor is None:
            return self._content[start : start + size]
        found = bytearray()
        try:
            os.lseek(self._descriptor, start, os.SEEK_SET)
            while len(found) < size and (more := os.read(self._descriptor, size - len(found))):
                found += more
        except OSError as error:
            raise FileError(
                f"its data file {self._path} cannot be read ({error.strerror or error})"
            ) from error
        if len(found) < size:
            raise FileError(f"its data file {self._path} has become shorter; read it again")
        return bytes(found)

    def chunks(self, size: int = 1 << 24) -> Iterator[bytes]:
        """All of it, in pieces."""
        for start in range(0, self.size, size):
            yield self.read(start, min(size, self.size - start))


def _opened(path: Path) -> _Data:
    """The data file, or the content of FILE.gz where only that is there.

    Raises:
        FileError: missing, no plain file, or cannot be read.
    """
    packed = path.with_name(f"{path.name}.gz")
    try:
        found = packed if not os.path.lexists(path) and os.path.lexists(packed) else path
        mode = os.lstat(found).st_mode
        if not stat.S_ISREG(mode):
            what = "a link" if stat.S_ISLNK(mode) else "no plain file"
            raise FileError(f"its data file {found} is {what}, which is not read; put the file itself there")
        if found is packed:
            return _Data(found, None, read_bytes(found, limit=MOST_BYTES))
        descriptor = os.open(found, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise FileError(f"its data file {path} is missing; put it beside the model") from error
    except OSError as error:
        raise FileError(f"its data file {path} cannot be read ({error.strerror or error})") from error
    return _Data(found, descriptor)
