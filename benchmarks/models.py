# SPDX-License-Identifier: Apache-2.0
"""Which networks of a folder of benchmarks are read, agree with onnxruntime, and are bounded.

python benchmarks/models.py FOLDER [--family NAME]... [--write]

FOLDER holds one folder for each family, with ONNX files anywhere inside, plain or gzipped. With `--write` the
table becomes the section "Models" of the page beside this script.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vnnverify.domains import interval
from vnnverify.errors import VnnverifyError
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import Model, read_model
from vnnverify.inputs.files import read_bytes
from vnnverify.numerics import AGREEMENT

PAGE = Path(__file__).with_name("README.md")
TITLE = "## Models"
RADIUS = 1e-3
"""Half the width of the box over which bounds are computed, around a random point of the unit box."""


@dataclass
class Row:
    """What is known of one family's networks; files of the same content count once."""

    family: str
    models: int = 0
    read: int = 0
    agreeing: int = 0
    bounded: int = 0
    worst: float = 0.0  # relative difference
    seconds: float = 0.0  # of the processor, for reading
    kinds: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        cells = (
            self.family, self.models, self.read, self.agreeing, f"{self.worst:.0e}", self.bounded,
            f"{self.seconds / max(1, self.read):.2f}", " ".join(sorted(self.kinds)),
        )  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |"


def networks(folder: Path) -> Iterator[bytes]:
    """The uncompressed ONNX files below a folder, each content once."""
    seen = set()
    for path in sorted(folder.rglob("*.onnx*")):
        data = read_bytes(str(path))
        digest = hashlib.sha256(data).digest()
        if digest not in seen:
            seen.add(digest)
            yield data


def examined(folder: Path) -> Row:
    """Try every network of a family."""
    row = Row(folder.name)
    for data in networks(folder):
        row.models += 1
        start = time.process_time()
        try:
            model = read_model(data)
        except VnnverifyError as error:
            row.failures.append(str(error))
            continue
        row.seconds += time.process_time() - start
        row.read += 1
        row.kinds |= {node.op.kind for node in model.graph.nodes}
        _run(model, row)
    return row


def _run(model: Model, row: Row) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, model.graph.input_size, generator=generator, dtype=torch.float64)
    difference = check_against_onnxruntime(model, x)
    row.worst = max(row.worst, difference)
    row.agreeing += difference <= AGREEMENT
    found = interval.bounds_of_values(model.graph, x[:1] - RADIUS, x[:1] + RADIUS)
    low, high = (model.graph.join_outputs({v: found[v][end] for v in model.graph.outputs}) for end in (0, 1))
    y = model.graph(x[:1])
    inside = bool(((low <= y) & (y <= high)).all())
    row.bounded += inside and bool(torch.isfinite(high - low).all())


def section(rows: list[Row]) -> str:
    """The table with its heading, and what failed."""
    lines = [
        TITLE,
        "",
        "Networks read, that agree with onnxruntime at random points to 1e-4 of the largest output, and that",
        f"have finite interval bounds around the value over a box {2 * RADIUS:g} wide.",
        "",
        "| family | models | read | agree | largest difference | bounded | s to read | operators |",
        "|---|---|---|---|---|---|---|---|",
        *map(str, rows),
    ]
    failures = [f"- {row.family}: {text}" for row in rows for text in row.failures]
    return "\n".join([*lines, *([""] if failures else []), *failures, ""])


def write(text: str) -> None:
    """Put the section in place of the old one, or at the end of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, found, after = page.partition(f"{TITLE}\n")
    rest = after[after.index("\n## ") + 1 :] if "\n## " in after else ""
    joined = f"{before}{text}" + (f"\n{rest}" if rest else "") if found else f"{page.rstrip()}\n\n{text}"
    PAGE.write_text(joined, encoding="utf-8")


def main() -> None:
    """Print the table, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", action="append", help="only these families")
    parser.add_argument("--write", action="store_true", help="into the page beside this script")
    given = parser.parse_args()
    rows = []
    for folder in sorted(path for path in given.folder.iterdir() if path.is_dir()):
        if not given.family or folder.name in given.family:
            rows.append(examined(folder))
            print(rows[-1], flush=True)
    if given.write:
        write(section(rows))


if __name__ == "__main__":
    main()
