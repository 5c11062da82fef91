# SPDX-License-Identifier: Apache-2.0
"""What the scripts over benchmark families share: their arguments, the instances, the machine's rate
and the sections of benchmarks/README.md.

A family is a folder with instances.csv (onnx,vnnlib,timeout) and, optionally, expected.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from pathlib import Path

import torch

DECIDED = ("sat", "unsat")
README = Path(__file__).with_name("README.md")

Instance = tuple[str, str, str]
"""Model, property, expected verdict or ''; the files relative to the family's folder."""


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments all of the scripts know."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog="Arguments after -- go to `vnnverify verify`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="the folder with the families")
    parser.add_argument("--family", action="append", default=[], help="repeatable [default: all]")
    parser.add_argument("--only", default="", help="only instances whose names contain this")
    parser.add_argument("--every", type=int, default=1, help="only every so-many-th of those, from the first")
    parser.add_argument("--expected", default="", help="only instances with this expected verdict")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds an instance")
    parser.add_argument("--log", type=Path, help="append one JSON line per instance")
    parser.add_argument("--again", action="store_true", help="do not run: take the records from the log")
    parser.add_argument(
        "--write", metavar="TITLE", help="put the table under TITLE into benchmarks/README.md"
    )
    return parser


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line; `more` is what follows `--`."""
    own = sys.argv[1:]
    cut = own.index("--") if "--" in own else len(own)
    args = parser.parse_args(own[:cut])
    args.more = own[cut + 1 :]
    if args.again and not args.log:
        parser.error("--again needs --log")
    return args


def family_names(args: argparse.Namespace) -> list[str]:
    """The families asked for, or all in the folder."""
    return args.family or sorted(p.name for p in args.folder.iterdir() if (p / "instances.csv").exists())


def read_rows(family: Path) -> list[Instance]:
    """Every instance of a family, in the order of its list."""
    expected = {}
    if (family / "expected.csv").exists():
        with (family / "expected.csv").open(newline="") as file:
            expected = {(r["onnx"], r["vnnlib"]): r["expected"] for r in csv.DictReader(file)}
    with (family / "instances.csv").open(newline="") as file:
        rows = [tuple(cell.strip() for cell in row[:2]) for row in csv.reader(file) if row]
    return [(model, prop, expected.get((model, prop), "")) for model, prop in rows]


def chosen_rows(family: Path, args: argparse.Namespace) -> list[Instance]:
    """The instances of a family that --only, --expected and --every leave."""
    left = [
        (model, prop, expected)
        for model, prop, expected in read_rows(family)
        if args.only in f"{model} {prop}" and (not args.expected or expected == args.expected)
    ]
    return left[:: args.every]


def matmul_rate(device: str = "cpu") -> float:
    """GFLOP/s of this machine's float32 matrix product, 2048 square, median of five."""
    a, b = (torch.rand(2048, 2048, device=device) for _ in range(2))
    times = []
    for _ in range(6):
        started = time.perf_counter()
        product = a @ b
        product[0, 0].item()  # which waits for a device that computes on its own
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / statistics.median(times[1:]) / 1e9


def machine(rate: float, args: argparse.Namespace) -> str:
    """The clause that lets absolute times be compared with those of other machines."""
    when = "afterwards" if args.again else "in the same run"
    return (
        f"float32 matrix product on this machine {when}: {rate:.0f} GFLOP/s "
        f"({torch.get_num_threads()} threads)"
    )


def write_section(title: str, content: str, readme: Path = README) -> None:
    """Replace the section `title` of the README, keeping the others; it becomes the last."""
    text = readme.read_text() if readme.exists() else "# Benchmarks\n"
    sections = text.split("\n## ")
    body = f"{title}\n\n{content.rstrip()}\n"
    kept = [s for s in sections[1:] if not s.startswith(f"{title}\n")]
    readme.write_text("\n## ".join([sections[0].rstrip() + "\n", *(s.rstrip() + "\n" for s in kept), body]))
