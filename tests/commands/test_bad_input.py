# SPDX-License-Identifier: Apache-2.0
"""What cannot be read or does not fit ends in one line, exit code 2, no result and no delay."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Files = Callable[[Path, Path, Callable[..., str]], tuple[Path, Path]]


def model_file(folder: Path, nodes: list[onnx.NodeProto], weight: np.ndarray | None = None) -> Path:
    """A network from X (1, 2) to Y (1, 2) with the constant W."""
    value = np.eye(2, dtype=np.float32) if weight is None else weight
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(value, "W")],
    )
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("strange", 1)]
    path = folder / "net.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString())
    return path


def multiply() -> list[onnx.NodeProto]:
    return [helper.make_node("MatMul", ["X", "W"], ["Y"], name="fc")]


def with_weight(value: float) -> Files:
    def make(folder: Path, tiny: Path, text: Callable[..., str]) -> tuple[Path, Path]:
        weight = np.array([[1, 0], [value, 1]], dtype=np.float32)
        return model_file(folder, multiply(), weight), good_query(folder, text)

    return make


def with_nodes(*nodes: onnx.NodeProto) -> Files:
    return lambda folder, tiny, text: (model_file(folder, list(nodes)), good_query(folder, text))


def good_query(folder: Path, text: Callable[..., str]) -> Path:
    return with_text(folder, text("(>= Y_0 0.5)").encode())


def with_text(folder: Path, text: bytes, name: str = "bad.vnnlib") -> Path:
    path = folder / name
    path.write_bytes(text)
    return path


def with_query(make: Callable[[Callable[..., str]], str]) -> Files:
    return lambda folder, tiny, text: (tiny, with_text(folder, make(text).encode()))


def truncated(folder: Path, tiny: Path, text: Callable[..., str]) -> tuple[Path, Path]:
    path = folder / "net.onnx"
    path.write_bytes(tiny.read_bytes()[:-100])
    return path, good_query(folder, text)


def external(folder: Path, tiny: Path, text: Callable[..., str]) -> tuple[Path, Path]:
    path = model_file(folder, multiply())
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../secret.bin")
    path.write_bytes(model.SerializeToString())
    return path, good_query(folder, text)


def bomb(folder: Path, tiny: Path, text: Callable[..., str]) -> tuple[Path, Path]:
    return tiny, with_text(folder, gzip.compress(bytes(100 << 20), 9), "bad.vnnlib.gz")


def missing_model(folder: Path, tiny: Path, text: Callable[..., str]) -> tuple[Path, Path]:
    return folder / "absent.onnx", good_query(folder, text)


def missing_query(folder: Path, tiny: Path, text: Callable[..., str]) -> tuple[Path, Path]:
    return tiny, folder / "absent.vnnlib"


BAD: dict[str, tuple[Files, str]] = {
    "truncated model": (truncated, r"net\.onnx: not an? (valid )?ONNX model.*export it again"),
    "NaN weights": (with_weight(np.nan), r"net\.onnx: initializer 'W' holds NaN or infinity"),
    "infinite weights": (with_weight(np.inf), r"net\.onnx: initializer 'W' holds NaN or infinity"),
    "unknown operator": (
        with_nodes(helper.make_node("Frobnicate", ["X"], ["Y"], name="n7", domain="strange")),
        r"net\.onnx: node 'n7': operator strange\.Frobnicate .*onnxruntime cannot run the model either",
    ),
    "external data": (external, r"net\.onnx: .*'\.\./\.\./secret\.bin', which is not read; save the"),
    "cyclic graph": (
        with_nodes(
            helper.make_node("Add", ["X", "b"], ["a"], name="one"),
            helper.make_node("Relu", ["a"], ["b"], name="two"),
            helper.make_node("Relu", ["b"], ["Y"], name="three"),
        ),
        r"net\.onnx: node '(one|two)' depends on its own output: the graph is cyclic",
    ),
    "undeclared variable": (
        with_query(lambda text: text("(>= Y_7 0.5)")),
        r"bad\.vnnlib:9:13: variable Y_7 is not declared; add \(declare-const Y_7 Real\)",
    ),
    "missing bound": (
        with_query(lambda text: text("(<= X_0 1)", "(>= X_0 0)", "(>= X_1 0)", "(>= Y_0 1)", box="")),
        r"bad\.vnnlib.*X_1.*upper bound",
    ),
    "another network's inputs": (
        with_query(lambda text: "(declare-const X_2 Real)" + text("(<= X_2 1)", "(>= X_2 0)", "(>= Y_0 1)")),
        r"bad\.vnnlib.*3 inputs.* 2",
    ),
    "deep parentheses": (
        with_query(lambda text: text("(" * 100_000 + ")" * 100_000)),
        r"bad\.vnnlib:9:\d+: ",
    ),
    "deep negations": (
        with_query(lambda text: text("(>= Y_0 " + "(- " * 100_000 + "1" + ")" * 100_001)),
        r"bad\.vnnlib:9:\d+: ",
    ),
    "NUL byte": (with_query(lambda text: text("(>= Y_0\0 0.5)")), r"bad\.vnnlib:9:\d+: .*(NUL|\\x00)"),
    "decompression bomb": (bomb, r"bad\.vnnlib\.gz: .*decompression bomb"),
    "missing model": (missing_model, r"absent\.onnx: no such file.*check the path"),
    "missing query": (missing_query, r"absent\.vnnlib: no such file.*check the path"),
}


def refusal(done: Any) -> str:
    """The line on stderr if that is all there is and the exit code is 2; else nothing."""
    alone = done.code == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    return str(done.stderr) if alone and re.match("vnnverify: error: .{1,680}\n$", done.stderr) else ""


REAL = ("truncated model", "unknown operator", "deep parentheses", "decompression bomb", "missing query")
"""These run in processes of their own, for each kind of refusal one."""


@pytest.mark.parametrize(("make", "text"), BAD.values(), ids=BAD)
def test_bad_file_is_one_line(
    make: Files,
    text: str,
    request: pytest.FixtureRequest,
    tiny: Path,
    property_text: Callable[..., str],
    tmp_path: Path,
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    model, query = make(given, tiny, property_text)
    results = tmp_path / "results"
    results.mkdir()
    real = request.node.callspec.id in REAL
    run = request.getfixturevalue("vnnverify" if real else "served")
    done = run("verify", model, query, "--result-file", results / "out.txt", "--json")
    assert re.search(text, refusal(done))
    assert list(results.iterdir()) == []
    assert done.seconds < 5.0


MISUSE: dict[str, tuple[list[str], str]] = {
    "backend": (["--backend", "nope"], "no backend called 'nope'; installed: .*milp"),
    "second backend": (["--backend", "milp,nope"], "no backend called 'nope'; installed: .*milp"),
    "mistyped backend": (["--backend", "mlip"], r"no backend called 'mlip'; did you mean 'milp'\?;"),
    "mistyped format": (["--format", "jsn"], r"no result format 'jsn'; did you mean 'json'\?; there are: "),
    "option": (["--bogus"], "No such option '--bogus'.*; see `vnnverify verify --help`"),
    "negative limit": (["--timeout", "-1"], "'--timeout': -1.0 .*zero or more; see `vnnverify verify"),
    "limit NaN": (["--timeout", "nan"], "'--timeout': nan .*zero or more"),
    "limit in words": (["--timeout", "soon"], "'--timeout': 'soon' is not a valid float"),
    "seed": (["--seed", "1e3"], "'--seed': '1e3' is not a valid integer"),
    "large seed": (["--seed", str(2**63)], "'--seed': .* is not in the range"),
    "device": (["--device", "abacus"], "--device abacus: expected auto, cpu, cuda or cuda:N"),
    "dtype": (["--dtype", "float8"], "'--dtype': 'float8' is not one of 'float32', 'float64'"),
    "pair": (["-o", "samples"], "-o samples: expected KEY=VALUE"),
    "format": (["--format", "haiku"], "no result format 'haiku'; there are: json, text, vnncomp, vnnlib2"),
    "third file": (["more.vnnlib"], "give one QUERY and --network MODEL, or MODEL and QUERY"),
    "folder": (["--result-file", "absent/out.txt"], "the folder 'absent' does not exist; create it first"),
    "folder as file": (["--result-file", "specs"], "specs: is a folder; name a file in it"),
    "networks": (["--network", "a.onnx", "--network", "b.onnx"], "of several models each needs a name"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "text"), MISUSE.values(), ids=MISUSE)
def test_misuse_is_one_line(
    arguments: list[str], text: str, vnnverify: Callable[..., Any], tiny: Path, specs: Path
) -> None:
    done = vnnverify("verify", tiny, specs / "tiny_sat.vnnlib", *arguments)
    assert re.search(text, refusal(done))


@pytest.mark.parametrize(
    ("run", "arguments", "text"),
    [
        ("vnnverify", ["nope"], "no command called 'nope'; see `vnnverify --help`"),
        (
            "inside",
            ["veryfy"],
            r"no command called 'veryfy'; did you mean 'verify'\?; see `vnnverify --help`",
        ),
        (
            "inside",
            ["m.onnx", "q.vnnlib"],
            r"m\.onnx is a file, not a command; did you mean 'vnnverify verify m\.onnx q\.vnnlib'\?; see",
        ),
        (
            "inside",
            ["q.vnnlib.gz"],
            r"q\.vnnlib\.gz is a file, not a command; did you mean 'vnnverify verify ",
        ),
        ("inside", ["verify"], "Missing argument 'QUERY | MODEL QUERY'; see `vnnverify verify --help`"),
        ("inside", ["verify", "a.vnnlib"], r"no model given for a\.vnnlib; add --network MODEL\.onnx"),
        ("inside", ["backends", "nope"], "no backend called 'nope'; installed: .*milp"),
        ("inside", ["check", "absent.txt"], r"absent\.txt: no such file"),
        ("vnnverify", ["show", "absent.onnx"], r"absent\.onnx: no such file"),
    ],
)
def test_misuse_of_other_commands_is_one_line(
    run: str, arguments: list[str], text: str, request: pytest.FixtureRequest
) -> None:
    assert re.search(text, refusal(request.getfixturevalue(run)(*arguments)))


MIXED_UP = {
    "swapped": (
        ["{query}", "{model}"],
        "{query} is a property and {model} a model: they are swapped; write vnnverify verify {model} ",
    ),
    "swapped by name": (
        ["{model}", "--network", "{query}"],
        "they are swapped; write vnnverify verify {query} --network {model}",
    ),
    "swapped by the network's name": (
        ["{model}", "--network", "N={query}"],
        "they are swapped; write vnnverify verify {query} --n",
    ),
    "model alone": (
        ["{model}"],
        "{model} is a model; which property? write vnnverify verify {model} QUERY.vnnlib",
    ),
    "two models": (
        ["{model}", "{model}"],
        "{model} is a binary file, as models are, not a property; write vnnverify verify {model} Q",
    ),
    "two models by name": (
        ["{model}", "--network", "{model}"],
        "{model} is a binary file, as models are, not a property; wr",
    ),
    "two properties": (
        ["{query}", "{query}"],
        "{query} is a property, not an ONNX model; write vnnverify verify MODEL.onnx {query}",
    ),
    "property as network": (
        ["{query}", "--network", "{query}"],
        "{query} is a property, not an ONNX model; write",
    ),
    "text as model": (
        ["{text}", "{query}"],
        "{text} is text, not an ONNX model; write vnnverify verify MODEL.onnx {query}",
    ),
    "text as network": (
        ["{query}", "--network", "{text}"],
        "{text} is text, not an ONNX model; write vnnverify verify {query} --",
    ),
    "text as property": (
        ["{model}", "{text}"],
        "{text}:1:1: this is not VNN-LIB: it begins with 'hello', not with (declare-c",
    ),
}


@pytest.mark.parametrize(("arguments", "text"), MIXED_UP.values(), ids=MIXED_UP)
def test_files_in_wrong_places_are_named(
    arguments: list[str], text: str, served: Callable[..., Any], tiny: Path, specs: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("hello world\n")
    given = {"model": tiny, "query": specs / "tiny_sat.vnnlib", "text": tmp_path / "a.txt"}
    done = served("verify", *(argument.format(**given) for argument in arguments))
    assert text.format(**given) in refusal(done)


def test_compressed_files_in_wrong_places_are_named(
    inside: Callable[..., Any], tiny: Path, specs: Path, tmp_path: Path
) -> None:
    model, query = tmp_path / "m.onnx.gz", tmp_path / "p.vnnlib.gz"
    model.write_bytes(gzip.compress(tiny.read_bytes()))
    query.write_bytes(gzip.compress((specs / "tiny_sat.vnnlib").read_bytes()))
    done = inside("verify", query, str(model).removesuffix(".gz"))
    assert f"{query} is a property and {str(model).removesuffix('.gz')} a model: they are" in refusal(done)
    assert "is a binary file, as ONNX models are, not VNN-LIB text" in refusal(inside("show", tiny, tiny))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-o", "bogus=1"], "unknown option 'bogus'; options of milp: .*tolerance"),
        (["-o", "milp.bogus=1"], "unknown option 'bogus'; this backend has: .*tolerance"),
        (["-o", "tolerance=wide"], "option tolerance='wide': expected float"),
        (["--device", "cuda:99"], "--device cuda:99: torch finds [0-9]+ CUDA devices here; use --device cpu"),
    ],
)
def test_what_only_the_backend_knows_is_refused_alike(
    arguments: list[str], text: str, served: Callable[..., Any], tiny: Path, specs: Path
) -> None:
    done = served("verify", tiny, specs / "tiny_sat.vnnlib", "--backend", "milp", *arguments)
    assert re.search(text, refusal(done))
