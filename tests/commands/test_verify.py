# SPDX-License-Identifier: Apache-2.0
"""`vnnverify verify` answers on stdout's first line, in the result file, and as JSON."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
WITNESS = rf"sat\n\(\(X_0 {NUMBER}\)\n \(X_1 {NUMBER}\)\n \(Y_0 ({NUMBER})\)\n \(Y_1 {NUMBER}\)\)\n"


def strict(text: str) -> dict[str, Any]:
    """JSON without Python's additions."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    record: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return record


@pytest.fixture(scope="module")
def sat(
    vnnverify: Callable[..., Any], tiny: Path, specs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, str]:
    """A run that ends in `sat`, and its result file."""
    path = tmp_path_factory.mktemp("sat") / "out.txt"
    done = vnnverify("verify", specs / "tiny_sat.vnnlib", "--network", tiny, "--result-file", path)
    return done, path.read_text()


def test_sat_is_a_word_and_a_witness(sat: tuple[Any, str]) -> None:
    done, _ = sat
    assert done.code == 0
    found = re.fullmatch(WITNESS, done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) >= 0.75


def test_result_file_is_what_stdout_says(sat: tuple[Any, str]) -> None:
    done, content = sat
    assert content == done.stdout


def test_explanation_goes_to_stderr(sat: tuple[Any, str]) -> None:
    lines = sat[0].stderr.splitlines()
    assert lines[0] == "sat: property violated: the witness was confirmed by onnxruntime"
    assert re.match(r"time +\d+\.\d\d s *$", lines[1])
    assert re.match(r"backend +falsification *$", lines[2])


def test_either_way_of_naming_files_and_the_same_seed_give_the_same_answer(
    sat: tuple[Any, str], served: Callable[..., Any], tiny: Path, specs: Path
) -> None:
    one = served("verify", tiny, specs / "tiny_sat.vnnlib", "--seed", "0")
    two = served("verify", specs / "tiny_sat.vnnlib", "--network", f"net={tiny}")
    assert one.stdout == sat[0].stdout == two.stdout


def test_unsat_as_json_and_as_result_file(
    vnnverify: Callable[..., Any], tiny: Path, specs: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "net.onnx"  # gzipped, whatever its name says
    packed.write_bytes(gzip.compress(tiny.read_bytes()))
    path, query = tmp_path / "out.txt", specs / "tiny_interval.vnnlib"
    path.write_text("an older result")
    done = vnnverify(
        "verify", packed, query, "--json", "--result-file", path, "--timeout", "inf", "-o", "samples=8"
    )
    assert done.code == 0, done.stderr
    assert path.read_text() == "unsat\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "out.txt"]
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    record = strict(done.stdout)
    assert record["schema"] == 1
    assert record["verdict"] == "unsat" and record["witness"] is None
    assert record["guarantee"] == "real" and record["backend"] == "zonotope"
    assert (record["model"], record["query"]) == (str(packed), str(query))
    assert record["timeout"] is None and 0 < record["seconds"] < 60
    assert record["sha256"]["model"] == "87957291c76654601ba4de5f938cc3b29db143eac3fe71e2bf12ebee82ed93da"
    assert set(record["stats"]) == {"falsification", "zonotope"}
    assert record["explanation"] is None


def test_lower_above_upper_is_vacuously_unsat_with_a_warning(
    vnnverify: Callable[..., Any], tiny: Path, property_text: Callable[..., str], tmp_path: Path
) -> None:
    query = tmp_path / "empty.vnnlib"
    query.write_text(property_text("(>= X_0 2.0)", "(>= Y_0 0.5)"))
    done = vnnverify("verify", tiny, query)
    assert done.code == 0
    assert done.stdout == "unsat\n"
    assert (
        "no disjunct of the property can be satisfied, whatever the network computes: vacuously unsat"
        in done.stderr
    )


@pytest.fixture(scope="module")
def undecided(tiny: Path, specs: Path) -> tuple[str | Path, ...]:
    """Arguments of a run that ends in `unknown`: a search for counterexamples of a property that holds."""
    return tiny, specs / "tiny_unsat.vnnlib", "--backend", "falsification", "-o", "rounds=1"


def test_open_answer_is_short(served: Callable[..., Any], undecided: tuple[str | Path, ...]) -> None:
    done = served("verify", *undecided)
    assert (done.code, done.stdout) == (0, "unknown\n")
    head, seconds, told = done.stderr.splitlines()
    assert head == "unknown: undecided"
    assert re.fullmatch(r"time           \d+\.\d\d s", seconds)
    assert re.match(r"falsification  \d+\.\d\d s  no counterexample found at \S+ points, nearest", told)


def test_open_answer_explains_itself_if_asked_to(
    served: Callable[..., Any], undecided: tuple[str | Path, ...]
) -> None:
    done = served("verify", *undecided, "-v")
    assert (done.code, done.stdout) == (0, "unknown\n")
    labels = [line[:15].strip() for line in done.stderr.split("\n\n")[1].splitlines()]
    expected = ["open", "hardest", "margin", "sub-problems", "bounds loosen", "to try"]
    assert [label for label in labels if label] == expected
    assert "1 of 1 clauses: 0" in done.stderr


def test_open_answer_as_json_has_its_explanation(
    vnnverify: Callable[..., Any], undecided: tuple[str | Path, ...]
) -> None:
    done = vnnverify("verify", *undecided, "--json")
    assert (done.code, done.stderr) == (0, "")
    record = strict(done.stdout)
    why = record["explanation"]
    assert (why["clauses"], why["open_clauses"], why["hardest"]) == (1, [0], 0)
    assert why["margin"] == record["stats"]["falsification"][0]["best_margin"] > 0
    assert why["node"] and why["looseness"] >= 1 and why["samples"] > 0
    assert why["advice"]


def test_no_time_is_an_honest_timeout(vnnverify: Callable[..., Any], tiny: Path, specs: Path) -> None:
    done = vnnverify("verify", tiny, specs / "tiny_sat.vnnlib", "--timeout", "0")
    assert (done.code, done.stdout) == (0, "timeout\n")


def test_black_box_runs_where_the_importer_cannot(
    served: Callable[..., Any], property_text: Callable[..., str], tmp_path: Path
) -> None:
    """By default too: a model with an operator that nobody reads is attacked as it is."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("Unique", ["X"], ["h"], name="u"),
            helper.make_node("ReduceSum", ["h"], ["s"], keepdims=0),
            helper.make_node("Add", ["s", "X"], ["Y"]),
        ],
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [1, 2])],
    )
    model, query = tmp_path / "net.onnx", tmp_path / "query.vnnlib"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.write_bytes(made.SerializeToString())
    query.write_text(property_text("(>= Y_0 0.5)"))
    done = served("verify", model, query, "--timeout", "120")
    assert done.code == 0, done.stderr
    assert re.fullmatch(WITNESS, done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Windows differ")
def test_interrupt_is_one_line_and_leaves_nothing(tiny: Path, specs: Path, tmp_path: Path) -> None:
    """The worker shares stderr: that it is closed shows that the worker has ended too."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "vnnverify", "verify", str(tiny), str(specs / "tiny_unsat.vnnlib"), "-v",
            "--backend", "falsification", "--timeout", "60", "--result-file", str(tmp_path / "out.txt"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # in the background it is ignored
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "trying falsification" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (stdout, stderr) == ("", "vnnverify: interrupted\n")
    assert list(tmp_path.iterdir()) == []
