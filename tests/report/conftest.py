# SPDX-License-Identifier: Apache-2.0
"""Two runs of the same instances: one with result files and an image, one that disagrees here and there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from vnnverify.results import Explanation, Report, Witness
from vnnverify.results.jsonl import JsonWriter
from vnnverify.suites import Header, Record
from vnnverify.verdict import Verdict

ROOT = Path(__file__).parents[2]
MANY = 240
"""More than are drawn at once."""
IMAGE = {
    "inputs": [{"name": "x", "shape": [1, 1, 28, 28], "dtype": "float32"}],
    "outputs": [{"name": "y", "shape": [1, 10], "dtype": "float32"}],
}


def record(index: int, verdict: Verdict, seconds: float, **more: object) -> Record:
    turn = {
        "verdict": verdict.value,
        "seconds": seconds,
        "reason": "",
        "open_clauses": 0,
        "boxes": 10 + index,
    }
    made = Record(
        index=index,
        family=("alpha", "beta")[index % 2],
        folder=str(ROOT),
        model=f"onnx/net_{index % 7}.onnx",
        query=f"vnnlib/prop_{index}.vnnlib",
        timeout=60.0,
        expected=None,
        verdict=verdict,
        seconds=seconds,
        backend="zonotope" if verdict.decided else "",
        stats={"zonotope": [turn]},
    )
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def write(folder: Path, records: list[Record]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "journal.jsonl").write_text("".join(r.to_json() + "\n" for r in records), encoding="utf-8")
    header = Header(("list.csv",), len(records), {"timeout": 60.0}, {"name": "here"}, {"vnnverify": "0.1.0"})
    (folder / "run.json").write_text(header.to_json(), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Row 0 is a witness of an image, 1 one of numbers, 2 open with an explanation, 3 wrong."""
    base = tmp_path_factory.mktemp("runs")
    mine = base / "mine"
    (mine / "results").mkdir(parents=True)
    x = [0.0] * 784
    x[400] = 1.0
    report = Report("m", "q", Verdict.SAT, witness=Witness(tuple(x), (0.5, 1.5)), layout=IMAGE)
    (mine / "results" / "0.json").write_text(JsonWriter().write(report), encoding="utf-8")
    why = Explanation(clauses=3, open_clauses=(0, 2), advice=("--timeout 120: <b>try</b>",))
    open_report = Report("m", "q", Verdict.TIMEOUT, "late", explanation=why)
    (mine / "results" / "2.json").write_text(JsonWriter().write(open_report), encoding="utf-8")
    first = [
        record(0, Verdict.SAT, 1.0, result="results/0.json", query="specs/mnist_mlp_sat.vnnlib"),
        record(1, Verdict.SAT, 2.0, witness=Witness((0.3279227018356323, -1.0), (3.0,))),
        record(2, Verdict.TIMEOUT, 60.0, result="results/2.json", reason="zonotope: </script> 3 open"),
        record(3, Verdict.UNSAT, 0.5, expected=Verdict.SAT),
        record(4, Verdict.ERROR, 0.5, cause="crash", reason="killed by SIGSEGV"),
        *(record(k, Verdict.UNSAT, 0.01 * k) for k in range(5, MANY)),
    ]
    second = [dataclasses.replace(r, seconds=r.seconds * 2 + 0.1, result="") for r in first]
    second[7] = dataclasses.replace(second[7], verdict=Verdict.SAT, witness=None)
    second[8] = dataclasses.replace(second[8], verdict=Verdict.TIMEOUT)
    return write(mine, first), write(base / "theirs", second[:-1])
