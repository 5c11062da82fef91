# SPDX-License-Identifier: Apache-2.0
"""Runs `vnnverify verify` over benchmark families, one process an instance, and compares with the
expected verdicts. Writes the table into benchmarks/README.md if asked.

    python benchmarks/families.py FOLDER --family acasxu --family test --timeout 60 [--write NAME]

FOLDER holds <family>/instances.csv (onnx,vnnlib,timeout) and, optionally, expected.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

DECIDED = ("sat", "unsat")
README = Path(__file__).with_name("README.md")


def read_rows(family: Path) -> list[tuple[str, str, str]]:
    """(model, property, expected verdict or '') of every instance."""
    expected = {}
    if (family / "expected.csv").exists():
        with (family / "expected.csv").open(newline="") as file:
            expected = {(r["onnx"], r["vnnlib"]): r["expected"] for r in csv.DictReader(file)}
    with (family / "instances.csv").open(newline="") as file:
        rows = [tuple(cell.strip() for cell in row[:2]) for row in csv.reader(file) if row]
    return [(model, prop, expected.get((model, prop), "")) for model, prop in rows]


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


def matmul_rate() -> float:
    """GFLOP/s of this machine's float32 matrix product, 2048 square, median of five."""
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / statistics.median(times[1:]) / 1e9


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", action="append", default=[])
    parser.add_argument("--only", default="", help="only instances whose names contain this")
    parser.add_argument("--expected", default="", help="only instances with this expected verdict")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--log", type=Path, help="append one JSON line per instance")
    parser.add_argument("--again", action="store_true", help="do not run: take the records from the log")
    parser.add_argument(
        "--write", metavar="TITLE", help="put the table under TITLE into benchmarks/README.md"
    )
    parser.epilog = "Arguments after -- go to `vnnverify verify`."
    own = sys.argv[1:]
    cut = own.index("--") if "--" in own else len(own)
    args = parser.parse_args(own[:cut])
    args.more = own[cut + 1 :]
    lines = ["| family | instances | decided | sat / unsat | wrong | median s | max s | PAR2 s |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    rate = matmul_rate()
    for name in args.family or sorted(
        p.name for p in args.folder.iterdir() if (p / "instances.csv").exists()
    ):
        records: list[dict[str, object]] = []
        if args.again:
            found = [json.loads(line) for line in args.log.read_text().splitlines()]
            records = [
                r for r in found if r["family"] == name and args.only in f"{r['model']} {r['property']}"
            ]
        for model, prop, expected in [] if args.again else read_rows(args.folder / name):
            if args.only not in f"{model} {prop}" or (args.expected and expected != args.expected):
                continue
            record = {"family": name, "expected": expected}
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
    """Replace the section `title` of the README, keeping the others."""
    text = README.read_text() if README.exists() else "# Benchmarks\n"
    sections = text.split("\n## ")
    more = f", `{' '.join(args.more)}`" if args.more else ""
    when = "afterwards" if args.again else "in the same run"
    body = (
        f"{title}\n\n{args.timeout:g} s an instance, whole process{more}; float32 matrix product on this "
        f"machine {when}: {rate:.0f} GFLOP/s ({torch.get_num_threads()} threads).\n\n"
        + "\n".join(lines)
        + "\n"
    )
    kept = [s for s in sections[1:] if not s.startswith(f"{title}\n")]
    README.write_text("\n## ".join([sections[0].rstrip() + "\n", *(s.rstrip() + "\n" for s in kept), body]))


if __name__ == "__main__":
    main()
