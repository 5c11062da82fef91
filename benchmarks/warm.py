# SPDX-License-Identifier: Apache-2.0
"""Compares one run of `vnnverify bench` with one process of `vnnverify verify` an instance.

    python benchmarks/warm.py FOLDER [--count 40] [--jobs 2] [--timeout 20]

FOLDER holds instances.csv. The two ways take turns on the parts of the list, so that a machine that is busy
for a while slows both of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

Row = tuple[str, str]


def main() -> None:
    """Run both, print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=0, help="the first so many instances [default: all]")
    parser.add_argument("--parts", type=int, default=1, help="how often the two take turns")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=20.0)
    args = parser.parse_args()
    with (args.folder / "instances.csv").open(newline="") as file:
        rows = [(row[0], row[1]) for row in csv.reader(file) if row]
    rows = rows[: args.count or None]
    size = -(-len(rows) // args.parts)
    pool, single = [0.0, 0.0], [0.0, 0.0]
    differ = 0
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        one = measured(pool, lambda part=part: in_a_pool(args, part))
        two = measured(single, lambda part=part: one_by_one(args, part))
        for row, a, b in zip(part, one, two, strict=True):
            if a != b:
                differ += 1
                print(f"{row[0]} {row[1]}: {a} in the pool, {b} alone")
        print(
            f"{start + len(part)} of {len(rows)}: pool {pool[0]:.1f} s, {pool[1]:.1f} processor s; "
            f"one process each {single[0]:.1f} s, {single[1]:.1f} processor s",
            flush=True,
        )
    print(
        f"{len(rows)} instances, {args.jobs} workers: wall {pool[0] / single[0]:.3f}, processor "
        f"{pool[1] / single[1]:.3f} of one process each; {differ} verdicts differ"
    )


def measured(total: list[float], act: object) -> list[str]:
    """Add the wall time and the processor time of an act to the total."""
    wall, before = time.monotonic(), os.times()
    assert callable(act)
    verdicts: list[str] = act()
    after = os.times()
    total[0] += time.monotonic() - wall
    total[1] += sum(after[2:4]) - sum(before[2:4])  # of the children that have ended
    return verdicts


def in_a_pool(args: argparse.Namespace, part: list[Row]) -> list[str]:
    """The verdicts of one run over a part of the list."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "instances.csv"
        with rows.open("w", newline="") as file:
            csv.writer(file).writerows(
                (args.folder / model, args.folder / prop, args.timeout) for model, prop in part
            )
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "vnnverify", "bench", str(rows), "--out", str(out), "-q", "--json"]
        subprocess.run([*command, "--jobs", str(args.jobs)], check=True, stdout=subprocess.DEVNULL)
        records = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    return [record["verdict"] for record in sorted(records, key=lambda record: record["index"])]


def one_by_one(args: argparse.Namespace, part: list[Row]) -> list[str]:
    """The verdicts of one process an instance."""
    verdicts = []
    for model, prop in part:
        command = [
            sys.executable,
            "-m",
            "vnnverify",
            "verify",
            str(args.folder / model),
            str(args.folder / prop),
        ]
        done = subprocess.run(
            [*command, "--timeout", str(args.timeout)], check=False, capture_output=True, text=True
        )
        verdicts.append(done.stdout.split("\n")[0])
    return verdicts


if __name__ == "__main__":
    main()
