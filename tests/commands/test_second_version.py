# SPDX-License-Identifier: Apache-2.0
"""The command line of VNN-LIB 2.0: verdict words, assignments, files, capabilities, and translation."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from vnnverify.importer.control import CONTROL
from vnnverify.importer.parsing import OLDEST_OPSET
from vnnverify.importer.registry import supported_operators
from vnnverify.importer.sequences import SEQUENCES
from vnnverify.plugin.capabilities import CAPABILITIES, OPSETS, built_in_operators, onnx_operators
from vnnverify.plugin.hookspecs import OperatorInfo
from vnnverify.results.vnnlib2 import read_assignment

DECLARED = (
    "(vnnlib-version <2.0>)\n(declare-network N (declare-input X {0} [1,2]) (declare-output Y {0} [1,2]))\n"
)
BOX = "".join(f"(assert (and (>= X[0,{k}] -1.0) (<= X[0,{k}] 1.0)))\n" for k in range(2))


@pytest.fixture
def query(tmp_path: Path) -> Callable[..., Path]:
    """A property of the tiny network, Y_0 = max(X_0, X_1), Y_1 = |X_0 − X_1|, with these assertions."""

    def write(*assertions: str, kind: str = "float32") -> Path:
        path = tmp_path / "p.vnnlib"
        path.write_text(DECLARED.format(kind) + BOX + "".join(f"(assert {a})\n" for a in assertions))
        return path

    return write


def test_sat_is_a_word_and_tensors(
    inside: Callable[..., Any], query: Callable[..., Path], tiny: Path
) -> None:
    spec = query("(>= (* Y[0,0] Y[0,1]) 0.5)", "(== X[0,0] 0.75)")
    done = inside("verify", spec, "--network", f"N={tiny}", "--timeout", "60.0")
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert (lines[0], lines[1], lines[2], lines[4]) == ("sat", "X float32 [1,2]", "0.75", "Y float32 [1,2]")
    assert len(lines) == 7
    x, y = [float(v) for v in lines[2:4]], [float(v) for v in lines[5:7]]
    assert y == [max(x), abs(np.float32(x[0]) - np.float32(x[1]))] and y[0] * y[1] >= 0.5
    assert read_assignment(done.stdout).x == (*x, *y)


def test_assignment_as_files(
    served: Callable[..., Any], query: Callable[..., Path], tiny: Path, tmp_path: Path
) -> None:
    spec = query("(>= Y[0,1] 0.5)")
    done = served("verify", spec, "--network", tiny, "--serialise-assignments", tmp_path / "out")
    assert (done.code, done.stdout) == (0, "sat\n")
    found = {}
    for path in (tmp_path / "out").iterdir():
        tensor = onnx.TensorProto.FromString(path.read_bytes())
        found[path.name] = numpy_helper.to_array(tensor)
    assert {(name, array.dtype.name, array.shape) for name, array in found.items()} == {
        ("X.pb", "float32", (1, 2)),
        ("Y.pb", "float32", (1, 2)),
    }
    assert found["Y.pb"][0, 1] == abs(found["X.pb"][0, 0] - found["X.pb"][0, 1]) >= 0.5


@pytest.mark.parametrize(
    ("assertions", "arguments", "word"),
    [(["(>= Y[0,0] 1.5)"], [], "unsat"), (["(>= Y[0,0] 1.5)"], ["--timeout", "0"], "timed-out")],
)
def test_words(
    served: Callable[..., Any],
    query: Callable[..., Path],
    tiny: Path,
    assertions: list[str],
    arguments: list[str],
    word: str,
) -> None:
    done = served("verify", query(*assertions), "--network", tiny, *arguments)
    assert (done.code, done.stdout) == (0, f"{word}\n")


def test_real_queries_are_not_warned_about(
    served: Callable[..., Any], query: Callable[..., Path], tiny: Path
) -> None:
    done = served("verify", query("(>= Y[0,0] 1.5)", kind="real"), "--network", tiny, "--strict-types")
    assert done.stdout == "unsat\n" and done.stderr.startswith("unsat: property holds")


def test_result_of_a_run_is_checked(
    served: Callable[..., Any], query: Callable[..., Path], tiny: Path, tmp_path: Path
) -> None:
    spec = query("(>= Y[0,1] 0.5)")
    served("verify", spec, "--network", f"N={tiny}", "--result-file", tmp_path / "r.json", "--format", "json")
    served("verify", spec, "--network", f"N={tiny}", "--result-file", tmp_path / "r.txt")
    assert served("check", tmp_path / "r.json").stdout == "valid\n"
    assert served("check", tmp_path / "r.txt", spec, "--network", f"N={tiny}").stdout == "valid\n"
    lines = (tmp_path / "r.txt").read_text().splitlines()
    lines[2] = "1.5"
    (tmp_path / "r.txt").write_text("\n".join(lines))
    done = served("check", tmp_path / "r.txt", spec, "--network", f"N={tiny}")
    assert done.code == 1 and done.stdout.startswith("invalid: the point lies outside the box")


def test_published_texts_have_witnesses_in_the_declared_shape(
    served: Callable[..., Any], vnnverify: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    spec, result = tmp_path / "p.vnnlib", tmp_path / "r.txt"
    spec.write_text(
        "; published\n(declare-network tiny-1.2 (declare-input X Real [2]) (declare-output Y Real [2]))\n"
        "(assert (and (>= X[0] -1) (<= X[0] 1)))\n(assert (and (>= X[1] -1) (<= X[1] 1)))\n"
        "(assert (>= Y[1] 5e-1))\n"
    )
    done = vnnverify("verify", spec, "--network", f"tiny-1.2={tiny}", "--result-file", result)
    lines = done.stdout.splitlines()
    assert (done.code, lines[0], lines[1], lines[4]) == (0, "sat", "X real [2]", "Y real [2]")
    told = [line for line in done.stderr.splitlines() if "p.vnnlib: " in line]
    assert [line.partition("p.vnnlib: ")[2] for line in told] == [
        "the network's name tiny-1.2 is no identifier; used as it is",
        "the element type Real is read as real",
        "the version is not stated; read as <2.0>",
        "numbers without a point are read as those with one",
        "numbers are read in every form of VNN-LIB 1.0, such as 1e-3",
        f"input X is declared [2], 'X' of {tiny} has the shape [1, 2]; read as its elements in order",
        f"output Y is declared [2], 'Y' of {tiny} has the shape [1, 2]; read as its elements in order",
    ]
    assert served("check", result, spec, "--network", tiny).stdout == "valid\n"
    done = served("verify", spec, "--network", tiny, "--strict")
    assert (done.code, done.stdout) == (2, "")
    assert (
        "p.vnnlib:2:1: syntax error at '(declare-network'; VNN-LIB 2.0 wants (vnnlib-version" in done.stderr
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("timed-out\n", "verdict is timed-out; only `sat` results hold a witness"),
        ("unknown", "verdict is unknown; only `sat` results hold a witness"),
        ("unsat\n\n", "verdict is unsat; only `sat` results hold a witness"),
        ("sat\n", "verdict is sat; it holds no witness; was that written to files, by --serialise-assignm"),
        ("sat\nX float32 [1,2]\n0.5\n", "the assignment ends after 1 of 2 values"),
    ],
)
def test_results_without_a_witness_are_bad_input(
    inside: Callable[..., Any],
    query: Callable[..., Path],
    tiny: Path,
    tmp_path: Path,
    content: str,
    message: str,
) -> None:
    (tmp_path / "r.txt").write_text(content)
    done = inside("check", tmp_path / "r.txt", query("(>= Y[0,1] 0.5)"), "--network", tiny)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"r.txt: {message}" in done.stderr


BAD = {
    "no model": ([], r"no model given for .*p\.vnnlib; add --network MODEL\.onnx"),
    "name": (["--network", "M={tiny}"], r"p\.vnnlib declares no network 'M'; it declares N"),
    "twice": (["--network", "N={tiny}", "--network", "N={tiny}"], "--network N is given twice"),
    "nameless": (["--network", "N={tiny}", "--network", "b.onnx"], "of several models each needs a name"),
    "strict": (
        ["--network", "N={tiny}", "--strict"],
        r"declares float32, but proofs are about real numbers",
    ),
}


@pytest.mark.parametrize(("arguments", "text"), BAD.values(), ids=BAD)
def test_misuse_is_one_line(
    served: Callable[..., Any], query: Callable[..., Path], tiny: Path, arguments: list[str], text: str
) -> None:
    done = served("verify", query("(>= Y[0,0] 1.5)"), *(a.format(tiny=tiny) for a in arguments))
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    assert importlib.import_module("re").search(text, done.stderr), done.stderr


def test_a_model_too_many_is_one_line(served: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.vnnlib"
    equal = (
        DECLARED.format("real").replace("N (", "M (equal-to N) (").replace(" X ", " A ").replace(" Y ", " B ")
    )
    path.write_text(DECLARED.format("real") + equal.split("\n", 1)[1] + BOX + "(assert (<= B[0,0] Y[0,0]))")
    done = served("verify", path, "--network", f"N={tiny}", "--network", f"M={tiny}")
    assert (done.code, done.stdout) == (2, "")
    assert (
        done.stderr == "vnnverify: error: network M is equal-to N and takes its model; drop --network M=…\n"
    )


def test_every_capability_of_the_standard(inside: Callable[..., Any]) -> None:
    assert len(CAPABILITIES) == 11
    for name, lines in CAPABILITIES.items():
        done = inside("supports", f"--{name}")
        assert (done.code, done.stdout.splitlines(), done.stderr) == (0, list(lines()), "")
    assert inside("capabilities", "--hidden-node-theories").stdout == "NH\nH\n"
    assert inside("supports", "--multiple-inputs-output-theories").stdout == "SIO\nMIO\n"
    for arguments in ([], ["--hidden-node-theories", "--vnnlib-versions"], ["--nope"]):
        assert inside("supports", *arguments).code == 2


def test_operators_are_those_of_the_readers() -> None:
    assert set(supported_operators()) <= set(built_in_operators())
    itself = {"Constant", "ConstantOfShape", "EyeLike", "Shape", "Size", *CONTROL, *SEQUENCES}
    assert set(built_in_operators()) - set(supported_operators()) == itself
    assert OPSETS[0] == OLDEST_OPSET and OPSETS[1] <= onnx.defs.onnx_opset_version()


def test_operators_of_another_domain_are_not_taken_for_those_of_onnx() -> None:
    more = [OperatorInfo("Own", 1, dict), OperatorInfo("Ours", 1, dict, "acme")]
    assert set(onnx_operators(more)) - set(built_in_operators()) == {"Own"}


def test_name_and_version(inside: Callable[..., Any]) -> None:
    assert inside("--name").stdout == "vnnverify\n"
    assert inside("--version").stdout == f"{importlib.import_module('vnnverify').__version__}\n"


@pytest.mark.parametrize("spec", ["tiny_sat", "tiny_unsat"])
def test_translation_is_decided_alike(
    served: Callable[..., Any], tiny: Path, specs: Path, tmp_path: Path, spec: str
) -> None:
    old, new = specs / f"{spec}.vnnlib", tmp_path / "new.vnnlib"
    assert served("translate", old, "--network", tiny, "--output", new).code == 0
    assert served("translate", old, "--network", tiny).stdout == new.read_text()
    answers = [served("verify", q, "--network", tiny).stdout.split("\n")[0] for q in (old, new)]
    assert answers == [spec.removeprefix("tiny_")] * 2
    assert served("translate", new, "--network", tiny).code == 2


def test_translation_keeps_every_number_and_operator(
    inside: Callable[..., Any], tiny: Path, tmp_path: Path, property_text: Callable[..., str]
) -> None:
    path = tmp_path / "old.vnnlib"
    path.write_text(
        property_text("(or (= (* 2 X_0) 1e-3) (and (< (- Y_1) .5) (> 7 (+ X_1 -0.1E2))))", box="")
    )
    done = inside("translate", path, "--network", tiny, "--name", "net")
    assert done.stdout == (
        "(vnnlib-version <2.0>)\n(declare-network net\n    (declare-input X float32 [1,2])\n"
        "    (declare-output Y float32 [1,2])\n)\n"
        "(assert (or (== (* 2.0 X[0,0]) 0.001) (and (< (- Y[0,1]) 0.5) (> 7.0 (+ X[0,1] -10.0)))))\n"
    )
