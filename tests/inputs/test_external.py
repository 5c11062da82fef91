# SPDX-License-Identifier: Apache-2.0
"""Tensors in files beside a model are read into it, and nothing from anywhere else."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import FileError, ModelError, VnnverifyError
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import load_model, read_model
from vnnverify.importer.census import unsupported_operators
from vnnverify.inputs.external import MOST_BYTES, check_whole, checksum, read_model_file
from vnnverify.loading.loader import Models

W = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
B = np.array([0.5, -2], np.float32)
X, Y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n]) for name, n in (("x", 3), ("y", 2)))
Fields = Mapping[str, Any]


def elsewhere(name: str, array: np.ndarray, **fields: Any) -> onnx.TensorProto:
    """A tensor of this type and shape whose data lie in another file."""
    tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "net.onnx.data", **fields}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def saved(folder: Path, *tensors: onnx.TensorProto, content: bytes | None = None) -> Path:
    """x·w + b in a file, with these tensors; and their data, unless there are none."""
    weights = {t.name: t for t in (numpy_helper.from_array(W, "w"), numpy_helper.from_array(B, "b"))}
    weights |= {t.name: t for t in tensors}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])]
    graph = helper.make_graph(nodes, "g", [X], [Y], list(weights.values()))
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "net.onnx")
    if content is not None:
        (folder / "net.onnx.data").write_bytes(content)
    return folder / "net.onnx"


def outputs(path: Path) -> list[float]:
    """At (1, 2, 3), where the model agrees with onnxruntime."""
    model = load_model(str(path))
    x = torch.tensor([[1.0, 2, 3]], dtype=torch.float64)
    assert check_against_onnxruntime(model, x) < 1e-6
    found: list[float] = model.graph(x)[0].tolist()
    return found


EXPECTED = (np.array([1.0, 2, 3]) @ W.astype(float) + B).tolist()
BOTH = W.tobytes() + B.tobytes()


@pytest.mark.parametrize(
    ("w", "b", "content"),
    [
        ({}, None, W.tobytes()),
        ({"offset": 0, "length": 24}, None, W.tobytes()),
        ({"location": "./net.onnx.data"}, None, W.tobytes()),
        ({"offset": 4096}, None, bytes(4096) + W.tobytes()),
        ({}, None, W.tobytes() + b"more"),
        ({"length": 24, "offset": 0}, {"offset": 24, "length": 8}, BOTH),
        ({}, {"offset": 24}, BOTH),
        ({"offset": 8}, {}, B.tobytes() + W.tobytes()),
        ({"checksum": "0" * 40}, None, W.tobytes()),
    ],
    ids=["bare", "full", "dot", "far", "longer", "two", "two bare", "swapped", "with a checksum"],
)
def test_tensors_are_read_from_beside_the_model(
    tmp_path: Path, w: Fields, b: Fields | None, content: bytes
) -> None:
    tensors = [elsewhere("w", W, **w)] + ([] if b is None else [elsewhere("b", B, **b)])
    assert outputs(saved(tmp_path, *tensors, content=content)) == pytest.approx(EXPECTED)


def test_the_whole_model_is_what_onnx_would_have_saved(tmp_path: Path) -> None:
    path = saved(tmp_path, elsewhere("w", W), content=W.tobytes())
    file = read_model_file(path)
    wanted = onnx.load(path)
    for tensor in wanted.graph.initializer:
        tensor.ClearField("data_location")  # which onnx states although it is the usual one
    assert onnx.load_model_from_string(file.data) == wanted
    assert file.beside == (str(tmp_path / "net.onnx.data"),)
    plain = saved(tmp_path)
    assert read_model_file(plain).data == plain.read_bytes() and read_model_file(plain).beside == ()


@pytest.mark.parametrize("packed", ["model", "data", "both"])
def test_either_file_may_be_gzipped(tmp_path: Path, packed: str) -> None:
    path = saved(tmp_path, elsewhere("w", W), content=W.tobytes())
    for name, kind in (("net.onnx", "model"), ("net.onnx.data", "data")):
        if packed in (kind, "both"):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
            (tmp_path / name).unlink()
    assert outputs(path) == pytest.approx(EXPECTED)


def test_data_that_look_gzipped_are_data(tmp_path: Path) -> None:
    array = np.frombuffer(b"\x1f\x8b\x08\x3e" * 2, np.float32)
    path = saved(tmp_path, elsewhere("b", array), content=array.tobytes())
    assert outputs(path) == pytest.approx((np.array([1.0, 2, 3]) @ W.astype(float) + array).tolist())


@pytest.mark.parametrize(
    ("kind", "value", "content"),
    [
        (TensorProto.INT64, [2, -3], np.array([2, -3], np.int64).tobytes()),
        (TensorProto.UINT8, [2, 200], bytes([2, 200])),
        (TensorProto.FLOAT16, [0.5, -2.0], np.array([0.5, -2], np.float16).tobytes()),
        (TensorProto.BFLOAT16, [0.5, -2.0], b"\x00\x3f\x00\xc0"),
        (TensorProto.INT4, [7, -8], b"\x87"),
        (TensorProto.BOOL, [1.0, 0.0], b"\x01\x00"),
        (TensorProto.DOUBLE, [0.1, 1e-3], np.array([0.1, 1e-3]).tobytes()),
    ],
)
def test_numbers_of_every_size(tmp_path: Path, kind: int, value: list[float], content: bytes) -> None:
    tensor = TensorProto(name="k", dims=[2], data_type=kind, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="net.onnx.data")
    tensor.external_data.add(key="offset", value="3")
    nodes = [
        helper.make_node("Cast", ["k"], ["b"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "b"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    graph = helper.make_graph(nodes, "g", [x], [Y], [tensor])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(proto, tmp_path / "net.onnx")
    (tmp_path / "net.onnx.data").write_bytes(bytes(3) + content)
    found = load_model(str(tmp_path / "net.onnx")).graph(torch.zeros(1, 2, dtype=torch.float64))
    assert found[0].tolist() == np.array(value, np.float32).tolist()


def test_tensors_without_elements_take_no_bytes(tmp_path: Path) -> None:
    nothing = elsewhere("b", np.zeros((0, 2), np.float32), location="none", offset=0, length=0)
    nodes = [helper.make_node("Concat", ["x", "b"], ["y"], axis=0)]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    graph = helper.make_graph(nodes, "g", [x], [Y], [nothing])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        tmp_path / "n.onnx",
    )
    (tmp_path / "none").write_bytes(b"")
    x_values = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert load_model(str(tmp_path / "n.onnx")).graph(x_values).tolist() == [[1.0, 2.0]]


def nested() -> onnx.ModelProto:
    """Data elsewhere in a Constant, in a branch, in a Constant of a branch and in a function."""

    def constant(name: str, offset: int) -> onnx.NodeProto:
        return helper.make_node("Constant", [], [name], value=elsewhere("", B, location="d", offset=offset))

    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 2])
    other = helper.make_tensor_value_info("n", TensorProto.FLOAT, [1, 2])
    left = helper.make_graph(
        [constant("k", 8), helper.make_node("Sum", ["s", "k", "i"], ["z"])],
        "left",
        [],
        [out],
        [elsewhere("i", B, location="d", offset=16)],
    )
    right = helper.make_graph([helper.make_node("Neg", ["s"], ["n"])], "right", [], [other])
    body = [constant("f", 24), helper.make_node("Add", ["a", "f"], ["r"])]
    function = helper.make_function("own", "Shift", ["a"], ["r"], body, [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("Shift", ["x"], ["h"], domain="own"),
        constant("c", 0),
        helper.make_node("Add", ["h", "c"], ["s"]),
        helper.make_node("ReduceSum", ["s"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["yes"], to=TensorProto.BOOL),
        helper.make_node("If", ["yes"], ["y"], then_branch=left, else_branch=right),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])
    graph = helper.make_graph(nodes, "g", [x], [Y])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=[function])


def test_tensors_at_every_depth_are_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(nested().SerializeToString())
    (tmp_path / "d").write_bytes(np.arange(1, 9, dtype=np.float32).tobytes())
    model = load_model(str(path))
    x = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    assert model.graph(x).tolist() == [[1 + 1 + 3 + 5 + 7, 1 + 2 + 4 + 6 + 8]]
    assert check_against_onnxruntime(model, x) < 1e-6


def link(folder: Path) -> None:
    (folder / "real").write_bytes(W.tobytes())
    (folder / "net.onnx.data").symlink_to(folder / "real")


def dangling(folder: Path) -> None:
    (folder / "net.onnx.data").symlink_to(folder / "nowhere")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "net.onnx.data")


def pointer(folder: Path) -> None:
    (folder / "net.onnx.data").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 24\n"
    )


def outside(folder: Path) -> None:
    for place in (folder / "sub", folder.parent):
        place.mkdir(exist_ok=True)
        (place / "w.bin").write_bytes(W.tobytes())


@pytest.mark.parametrize(
    ("fields", "content", "kind", "text"),
    [
        ({"location": "../w.bin"}, outside, ModelError, r"file '\.\./w\.bin', which is not read; save"),
        ({"location": "sub/w.bin"}, outside, ModelError, "external file 'sub/w.bin', which is not read"),
        ({"location": "sub/../net.onnx.data"}, W.tobytes(), ModelError, "which is not read"),
        ({"location": "/etc/passwd"}, outside, ModelError, "'/etc/passwd', which is not read"),
        ({"location": "."}, outside, ModelError, "which is not read"),
        ({"location": ""}, outside, ModelError, "which is not read"),
        ({"location": "a\0b"}, outside, ModelError, "which is not read"),
        ({"location": "sub"}, outside, FileError, "sub is no plain file"),
        ({}, None, FileError, r"its data file \S+/net\.onnx\.data is missing; put it beside the model"),
        ({}, link, FileError, "is a link, which is not read"),
        ({}, dangling, FileError, "is a link, which is not read"),
        ({}, pipe, FileError, "is no plain file, which is not read"),
        ({}, pointer, FileError, "holds a git-LFS pointer"),
        ({}, W.tobytes()[:-1], ModelError, r"ends at byte 24 .*'net\.onnx\.data', which has 23"),
        ({"offset": 1}, W.tobytes(), ModelError, "ends at byte 25 .* which has 24; it is cut off"),
        ({"offset": 10**18}, W.tobytes(), ModelError, "ends at byte 1,000,000,000,000,000,024"),
        ({"offset": -8}, W.tobytes(), ModelError, "states the offset '-8', which is no number of bytes"),
        ({"offset": "0x10"}, W.tobytes(), ModelError, "states the offset '0x10'"),
        ({"offset": "9" * 30}, W.tobytes(), ModelError, "states the offset '9999"),
        ({"length": 20}, W.tobytes(), ModelError, "takes 24 bytes, but the model states 20 in"),
        ({"length": 28}, W.tobytes() + bytes(4), ModelError, "takes 24 bytes, but the model states 28 in"),
        ({"length": "1e3"}, W.tobytes(), ModelError, "states the length '1e3'"),
    ],
)  # fmt: skip
def test_what_is_not_beside_the_model_or_does_not_fit_is_refused(
    tmp_path: Path,
    fields: Fields,
    content: bytes | Callable[[Path], None] | None,
    kind: type[VnnverifyError],
    text: str,
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    path = saved(folder, elsewhere("w", W, **fields), content=content if isinstance(content, bytes) else None)
    if callable(content):
        content(folder)
    with pytest.raises(kind, match=text) as caught:
        load_model(str(path))
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("w", "b"),
    [
        ({}, {}),
        ({"offset": 0}, {"offset": 20}),
        ({"offset": 0}, {"offset": 8}),
        ({"offset": 4}, {"offset": 0, "location": "./net.onnx.data"}),
    ],
)
def test_tensors_must_not_overlap(tmp_path: Path, w: Fields, b: Fields) -> None:
    path = saved(tmp_path, elsewhere("w", W, **w), elsewhere("b", B, **b), content=BOTH)
    with pytest.raises(
        ModelError, match=r"initializer '[wb]' and initializer '[wb]' overlap in the external file"
    ):
        load_model(str(path))


def test_sizes_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    huge = elsewhere("w", W)
    del huge.dims[:]
    huge.dims.extend([1 << 31, 1 << 31])
    with pytest.raises(ModelError, match=f"more than {MOST_BYTES:,}; refused"):
        load_model(str(saved(tmp_path, huge)))
    wrong = elsewhere("w", W)
    wrong.dims[0] = -3
    with pytest.raises(ModelError, match=r"has the shape \[-3, 2\]"):
        load_model(str(saved(tmp_path, wrong)))
    text = elsewhere("w", W)
    text.data_type = TensorProto.STRING
    with pytest.raises(ModelError, match="has no type of numbers"):
        load_model(str(saved(tmp_path, text)))


def test_bytes_alone_have_no_folder(tmp_path: Path) -> None:
    path = saved(tmp_path, elsewhere("w", W), content=W.tobytes())
    for read in (read_model, check_whole, unsupported_operators):
        with pytest.raises(
            ModelError, match=r"'net\.onnx\.data', which is not among .* load it with onnx\.load"
        ):
            read(path.read_bytes())
    check_whole(read_model_file(path).data)
    check_whole(b"location of nothing in particular")


def test_checksum_covers_the_data(tmp_path: Path) -> None:
    path = saved(tmp_path, elsewhere("w", W, location="z"), elsewhere("b", B, location="a"))
    (tmp_path / "z").write_bytes(W.tobytes())
    (tmp_path / "a").write_bytes(B.tobytes())
    whole = hashlib.sha256(path.read_bytes() + B.tobytes() + W.tobytes()).hexdigest()
    assert checksum(path) == (whole, (str(tmp_path / "a"), str(tmp_path / "z")))
    (tmp_path / "z.gz").write_bytes(gzip.compress(W.tobytes()))
    (tmp_path / "z").unlink()
    assert checksum(path)[0] == whole
    text = tmp_path / "p.vnnlib"
    text.write_bytes(b"; location\n")
    assert checksum(text) == (hashlib.sha256(b"; location\n").hexdigest(), ())
    (tmp_path / "a").unlink()
    with pytest.raises(FileError, match=r"net\.onnx: its data file \S+/a is missing"):
        checksum(path)


def test_model_is_read_again_when_its_data_change(tmp_path: Path) -> None:
    path = saved(tmp_path, elsewhere("w", W), content=W.tobytes())
    models = Models()
    before = models.sha256(str(path))
    first = models.load(str(path))
    assert models.load(str(path)) is first
    assert models.sha256(str(path)) == before
    (tmp_path / "net.onnx.data").write_bytes((2 * W).tobytes())
    os.utime(tmp_path / "net.onnx.data", ns=(1, 1))
    second = models.load(str(path))
    assert second is not first and models.load(str(path)) is second
    x = torch.ones(1, 3, dtype=torch.float64)
    assert (second.graph(x) - first.graph(x))[0].tolist() == pytest.approx(W.sum(axis=0).tolist(), abs=1e-6)
    assert models.sha256(str(path)) not in (before, hashlib.sha256(path.read_bytes()).hexdigest())
