# SPDX-License-Identifier: Apache-2.0
"""Runs `vnnverify verify` over benchmark families, one process an instance, and compares with the
expected verdicts. Writes the table into benchmarks/README.md if asked.

    python benchmarks/families.py FOLDER --family acasxu --family test --timeout 60 [--write NAME]

FOLDER holds <family>/instances.csv (onnx,vnnlib,timeout) and, optionally, expected.csv.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from instances import (
    DECIDED,
    chosen_rows,
    family_names,
    machine,
    make_parser,
    matmul_rate,
    parse_arguments,
    write_section,
)


def run(family: Path, model: str, prop: str, timeout: float, more: list[str]) -> dict[str, object]:
    """One instance, as a user would run it; wall time of the whole process."""
    command = [sys.executable, "-m", "vnnverify", "verify", str(family / model), str(family / prop)]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--timeout", str(timeout), "--json", *more], capture_output=True, text=True, check=False
    )
    wall = time.monotonic() - started
    record = (
        json.loads(done.stdout) if done.stdout.strip() else {"verdict": "error", "reason": done.stderr[-300:]}
    )
    return {"model": model, "property": prop, "wall": round(wall, 3), **record, "witness": None}


def summary(name: str, records: list[dict[str, object]], timeout: float) -> str:
    """One row of the table. PAR2 counts an undecided instance with twice the limit."""
    solved = [
        r for r in records if r["verdict"] in DECIDED and r["verdict"] == (r["expected"] or r["verdict"])
    ]
    known = [r for r in records if r["expected"] in DECIDED]
    wrong = [r for r in known if r["verdict"] in DECIDED and r["verdict"] != r["expected"]]
    walls = [float(str(r["wall"])) for r in solved]
    par2 = (sum(walls) + 2 * timeout * (len(records) - len(solved))) / max(1, len(records))
    kinds = [sum(r["verdict"] == kind for r in solved) for kind in DECIDED]
    middle = f"{statistics.median(walls):.1f}" if walls else "–"
    return (
        f"| {name} | {len(records)} | {len(solved)} | {kinds[0]} / {kinds[1]} | {len(wrong)} "
        f"| {middle} | {max(walls, default=0):.1f} | {par2:.1f} |"
    )


def main() -> None:
    """Run, print, and write."""
    args = parse_arguments(make_parser(__doc__))
    lines = ["| family | instances | decided | sat / unsat | wrong | median s | max s | PAR2 s |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    rate = matmul_rate()
    for name in family_names(args):
        records: list[dict[str, object]] = []
        if args.again:
            found = [json.loads(line) for line in args.log.read_text().splitlines()]
            records = [
                r for r in found if r["family"] == name and args.only in f"{r['model']} {r['property']}"
            ]
        for model, prop, expected in [] if args.again else chosen_rows(args.folder / name, args):
            record: dict[str, object] = {"family": name, "expected": expected}
            record.update(run(args.folder / name, model, prop, args.timeout, args.more))
            records.append(record)
            flag = (
                "WRONG "
                if expected in DECIDED and record["verdict"] in DECIDED and record["verdict"] != expected
                else ""
            )
            print(
                f"{flag}{name} {model} {prop} {record['verdict']} ({expected}) {record['wall']}", flush=True
            )
            if args.log:
                with args.log.open("a") as file:
                    file.write(json.dumps(record) + "\n")
        lines.append(summary(name + (f" ({args.only})" if args.only else ""), records, args.timeout))
    print("\n".join(lines))
    if args.write:
        write(args.write, lines, rate, args)


def write(title: str, lines: list[str], rate: float, args: argparse.Namespace) -> None:
    """Put the table into the README."""
    more = f", `{' '.join(args.more)}`" if args.more else ""
    caption = f"{args.timeout:g} s an instance, whole process{more}; {machine(rate, args)}.\n\n"
    write_section(title, caption + "\n".join(lines))


if __name__ == "__main__":
    main()
