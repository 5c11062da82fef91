# SPDX-License-Identifier: Apache-2.0
"""What comparing graphs with their models costs, and whether it finds what is not there.

For every K-th instance of each family the graph is compared with onnxruntime as before an `unsat`; printed
are the points, the milliseconds and the largest difference in units of what rounding was allowed.

usage: python benchmarks/agreement.py FOLDER [--every K] [--family NAME]…
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from pathlib import Path

import torch

from vnnverify.guard import Guard
from vnnverify.loading.loader import Models, load_query


def main() -> None:
    """Print a line for each family, and the objections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--family", action="append", default=[])
    args = parser.parse_args()
    torch.set_num_threads(2)
    names = args.family or sorted(p.parent.name for p in args.folder.glob("*/instances.csv"))
    for name in names:
        _family(args.folder / name, args.every)


def _family(folder: Path, every: int) -> None:
    models = Models()
    points, silent, seconds, objections = [], [], [], []
    with open(folder / "instances.csv", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))[::every]
    for row in rows:
        onnx, vnnlib = (_found(folder / text) for text in row[:2])
        query = load_query(str(onnx), str(vnnlib), opaque=True, models=models)
        query.source.outputs(torch.stack([c.region.lower for c in query.clauses[:1]])[0])  # as an attack has
        guard = Guard(query)
        begun = time.perf_counter()
        guard.check()
        seconds.append(time.perf_counter() - begun)
        compared, quiet = guard.counts
        points.append(compared)
        silent.append(quiet)
        if guard.objection or guard.reservation:
            objections.append(f"{folder.name} {vnnlib.name}: {guard.objection or guard.reservation}")
    print(
        f"{folder.name:18s} {len(rows):3d} instances  points {min(points)}-{max(points)} "
        f"(silent {sum(silent)})  ms median {1000 * statistics.median(seconds):.0f} "
        f"max {1000 * max(seconds):.0f}  objections {len(objections)}",
        *objections,
        sep="\n    ",
        flush=True,
    )


def _found(path: Path) -> Path:
    """The file, or its gzipped form."""
    return path if path.exists() else path.with_name(path.name + ".gz")


if __name__ == "__main__":
    sys.exit(main())
