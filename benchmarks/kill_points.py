# SPDX-License-Identifier: Apache-2.0
"""Kills a run over and over (`kill -9`, at random moments), takes it up again, and looks for what is lost or
done twice.

    python benchmarks/kill_points.py [--kills 50] [--instances 60]

The instances are those of specs/ about the tiny network, over and over.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SPECS = {"tiny_sat": "sat", "tiny_interval": "unsat", "tiny_tight": "sat", "tiny_boxes": "sat"}


def main() -> None:
    """Kill, resume, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--instances", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        rows, verdicts = suite(Path(folder), args.instances)
        command = [sys.executable, "-m", "vnnverify", "bench", str(rows), "--out", str(out), "--resume", "-q"]
        command += ["--backend", "bound_propagation", "--jobs", str(args.jobs)]
        places: collections.Counter[str] = collections.Counter()
        for kill in range(args.kills):
            left = args.instances - lines(out)
            grow = min(generator.choice((0, 0, 1, 1, 1, 2)), max(0, left - 1))
            places[kill_after(command, out, grow, generator)] += 1
            print(f"kill {kill + 1}: {lines(out)} of {args.instances} finished", flush=True)
        subprocess.run(command, check=True)
        judge(out, verdicts)
        print(f"{args.kills} kills ({dict(places)}), {args.instances} instances, nothing lost, nothing twice")


def suite(folder: Path, count: int) -> tuple[Path, list[str]]:
    """A list of so many instances, and what their verdicts have to be."""
    names = [name for _, name in zip(range(count), cycle(), strict=False)]
    rows = folder / "instances.csv"
    model = ROOT / "models_onnx" / "tiny.onnx"
    rows.write_text("".join(f"{model},{ROOT}/specs/{name}.vnnlib,60\n" for name in names))
    return rows, [SPECS[name] for name in names]


def cycle() -> collections.abc.Iterator[str]:
    """The properties, over and over."""
    while True:
        yield from SPECS


def lines(out: Path) -> int:
    """How many lines of the journal are whole."""
    path = out / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after(command: list[str], out: Path, grow: int, generator: random.Random) -> str:
    """Start the run and kill it a moment after so many more instances are finished; where that was."""
    target = lines(out) + grow
    process = subprocess.Popen(command)
    time.sleep(generator.uniform(0.0, 6.0) if not grow else 0.0)
    while lines(out) < target and process.poll() is None:
        time.sleep(0.002)
    time.sleep(generator.uniform(0.0, 0.06))
    process.kill()
    process.wait()
    if not grow:
        return "while starting"
    path = out / "journal.jsonl"
    return "torn line" if not path.read_bytes().endswith(b"\n") else "between or within instances"


def judge(out: Path, verdicts: list[str]) -> None:
    """Raise if an instance is missing, there twice, or answered wrongly."""
    records = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    found = collections.Counter(record["index"] for record in records)
    assert found == collections.Counter(range(len(verdicts))), found
    for record in records:
        assert record["verdict"] == verdicts[record["index"]], record
        result = json.loads((out / record["result"]).read_text())
        assert result["verdict"] == record["verdict"], record
    assert len(list((out / "results").rglob("*.json"))) == len(verdicts)


if __name__ == "__main__":
    main()
