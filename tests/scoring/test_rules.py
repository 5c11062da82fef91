# SPDX-License-Identifier: Apache-2.0
"""Points: what is right, wrong, late, or taken at its word; and what they add up to."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
from pathlib import Path

import pytest

from vnnverify.commands import main
from vnnverify.errors import FileError, SpecError
from vnnverify.results import Witness
from vnnverify.scoring import Standing, find_instances, score
from vnnverify.suites import Header, Record
from vnnverify.suites.instances import Instance
from vnnverify.suites.runs import RecordedRun, instance_name, read_run, read_table, witness_of
from vnnverify.verdict import Verdict

ROOT = Path(__file__).parents[2]
GOOD, NEAR, BAD, ODD = 1.0, 2.0, 3.0, 4.0
"""First input of a witness, by which the judge of these tests knows it."""
STANDING = {
    GOOD: Standing.CORRECT, NEAR: Standing.TOLERANCE, BAD: Standing.INVALID, ODD: Standing.UNJUDGED,
}  # fmt: skip


def decide(witness: Witness, instance: Instance) -> tuple[Standing, str]:
    return STANDING[witness.x[0]], ""


def entry(word: str, seconds: float = 1.0, index: int = 0, family: str = "f") -> Record:
    """A record from `unsat`, `sat`, or `sat 1.0` with a witness."""
    verdict, _, first = word.partition(" ")
    return Record(
        index, family, "/files", f"net{index}.onnx", "p.vnnlib", 10.0, None, Verdict(verdict), seconds,
        witness=Witness((float(first),), ()) if first else None,
    )  # fmt: skip


def run(name: str, *records: Record) -> RecordedRun:
    return RecordedRun(name, Path("/nowhere") / name, records, Header((), len(records)))


def points(*words: str, seconds: float = 1.0) -> list[int]:
    """The points of tools that answer the same instance."""
    runs = [run(f"t{k}", entry(word, seconds)) for k, word in enumerate(words)]
    (by_tool,) = score(runs, find_instances(runs), decide=decide).entries.values()
    return [by_tool[r.name].points for r in runs]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("unsat",), [10]),
        (("unknown", "timeout", "error"), [0, 0, 0]),
        ((f"sat {GOOD}",), [10]),
        ((f"sat {NEAR}",), [10]),
        ((f"sat {BAD}",), [-150]),
        ((f"sat {ODD}",), [0]),
        (("sat",), [-150]),
        (("unsat", f"sat {GOOD}"), [-150, 10]),
        (("unsat", f"sat {NEAR}"), [10, 10]),
        (("unsat", f"sat {BAD}"), [10, -150]),
        (("unsat", "sat"), [10, -150]),
        (("unsat", f"sat {NEAR}", f"sat {GOOD}"), [-150, 10, 10]),
    ],
)
def test_points(words: tuple[str, ...], expected: list[int]) -> None:
    assert points(*words) == expected


def test_late_answers_count_nothing_and_refute_nobody() -> None:
    assert points("unsat", f"sat {GOOD}", f"sat {BAD}", seconds=10.01) == [0, 0, 0]
    runs = [run("slow", entry(f"sat {GOOD}", 11.0)), run("quick", entry("unsat", 1.0))]
    (by_tool,) = score(runs, find_instances(runs), decide=decide).entries.values()
    assert by_tool["slow"].verdict is Verdict.TIMEOUT and by_tool["quick"].points == 10


def test_families_weigh_alike() -> None:
    one = [entry("unsat", index=k) for k in range(4)] + [entry("unknown", index=9, family="g")]
    two = [entry("unsat" if k < 1 else "unknown", index=k) for k in range(4)]
    two.append(entry("unsat", index=9, family="g"))
    runs = [run("one", *one), run("two", *two), run("three", entry(f"sat {BAD}"))]
    board = score(runs, find_instances(runs), decide=decide)
    assert [board.percent(tool, "f") for tool in board.tools] == [100.0, 25.0, 0.0]
    assert [board.total(tool) for tool in board.tools] == [100.0, 125.0, 0.0]
    assert board.points("three", "f") == -150
    assert board.to_record()["penalties"][0]["standing"] == "refuted"


def test_without_files_sat_is_taken_at_its_word() -> None:
    def table(name: str, word: str) -> RecordedRun:
        record = dataclasses.replace(entry(word), folder="", timeout=math.inf)
        return RecordedRun(name, Path("/nowhere"), (record,))

    runs = [table("a", f"sat {BAD}"), table("b", "unsat"), table("c", "unknown")]
    board = score(runs, {}, decide=decide)
    (by_tool,) = board.entries.values()
    assert [by_tool[t].points for t in board.tools] == [0, 0, 0]
    assert len(board.disagreements) == 1
    assert len(board.notes) == 2 and "taken at their word" in board.notes[0]
    assert score(runs[:1], {}, decide=decide).points("a", "f") == 10


def test_an_instance_answered_twice_is_refused() -> None:
    with pytest.raises(SpecError, match="f net0 p is answered twice"):
        score([run("a", entry("unsat"), entry("unsat"))], {})


TABLE = """\
2024_tiny,v/benchmarks/tiny/onnx/tiny.onnx.gz,v/tiny/vnnlib/tiny_sat.vnnlib,0.1,sat,1.5
2024_tiny,v/benchmarks/tiny/onnx/tiny.onnx,v/tiny/vnnlib/tiny_unsat.vnnlib,0.1,holds,.8
2024_tiny,v/a.onnx,v/b.vnnlib,0.1,run_instance_timeout,120

2024_tiny,v/a.onnx,v/c.vnnlib,0.1,error_exit_code_1,3
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A competition's folder: a table in each family's folder, witnesses beside it."""
    folder = tmp_path / "tool" / "2024_tiny"
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text(TABLE)
    with gzip.open(folder / "tiny_tiny_sat.counterexample.gz", "wt") as file:
        file.write("((X_0 1.0)\n(X_1 1.0)\n(Y_0 1.0)\n(Y_1 0.0))")
    return tmp_path / "tool"


def test_published_folders_and_tables_are_read(published: Path, tmp_path: Path) -> None:
    run = read_run(published)
    assert run.name == "tool"
    assert [r.verdict.value for r in run.records] == ["sat", "unsat", "timeout", "error"]
    assert [r.index for r in run.records] == [0, 1, 2, 3]
    assert instance_name(run.records[0]) == ("tiny", "tiny", "tiny_sat")
    assert run.records[3].reason == "error_exit_code_1"
    assert witness_of(run, run.records[0]) == Witness((1.0, 1.0), (1.0, 0.0))
    assert witness_of(run, run.records[1]) is None
    table = published / "2024_tiny" / "results.csv"
    assert read_run(table).records == run.records
    with pytest.raises(FileError, match=r"neither journal\.jsonl nor results\.csv"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,b,c", "3 columns"),
        ("a,b,c,0,maybe,1", "result 'maybe' is none of"),
        ("a,b,c,0,sat,soon", "could not convert"),
    ],
)
def test_what_is_no_table_is_refused(row: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(f"{row}\n")
    with pytest.raises(SpecError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}:1: ")


def test_command_replays_what_is_stored(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suites" / "tiny"
    for kind, name in (("onnx", "models_onnx/tiny.onnx"), ("vnnlib", "specs/tiny_sat.vnnlib")):
        (suite / kind).mkdir(parents=True)
        (suite / kind / Path(name).name).write_bytes((ROOT / name).read_bytes())
    (suite / "instances.csv").write_text("onnx/tiny.onnx,vnnlib/tiny_sat.vnnlib,100\n")
    other = tmp_path / "other.csv"
    other.write_text("tiny,onnx/tiny.onnx,vnnlib/tiny_sat.vnnlib,0,unsat,2\n")

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["score", str(published), str(other), *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    lines = run("--benchmarks", str(tmp_path / "suites"), "--name", "tool", "--name", "other").splitlines()
    assert lines[1].split() == ["tiny", "100.0", "(20)", "0.0", "(-150)"]
    assert lines[2].split() == ["total", "100.0", "0.0"]
    assert "wrong: other says unsat to tiny tiny tiny_sat; a witness refutes it" in lines
    assert "disagreement: tiny tiny tiny_sat: tool sat (correct), other unsat" in lines
    found = json.loads(run("--json", "--no-replay"))
    assert found["totals"] == {"tool": 100.0, "other": 0.0}
    assert found["disagreements"][0]["answers"]["tool"]["standing"] == "files not at hand"
