# SPDX-License-Identifier: Apache-2.0
"""What one setting of `bound_propagation` is worth: the same instances with several values of it.

Printed are, for each value, how many instances were decided, the mean seconds (an undecided one counts twice
the limit) and the subproblems and boxes looked at; then the instances on which the values differ.

    python benchmarks/settings.py FOLDER --family acasxu --every 10 --setting first_boxes --values 16,64

Values are separated by semicolons if there are any, else by commas. The settings with their meaning:
`vnnverify backends bound_propagation`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from families import run
from instances import DECIDED, chosen_rows, family_names, make_parser, parse_arguments


def main() -> None:
    """Run all instances with each value in turn, instance by instance, and print the comparison."""
    parser = make_parser(__doc__)
    parser.add_argument("--setting", required=True, help="name of an option of bound_propagation")
    parser.add_argument("--values", required=True, help="values to compare")
    args = parse_arguments(parser)
    values = args.values.split(";" if ";" in args.values else ",")
    records: dict[str, list[dict[str, Any]]] = {value: [] for value in values}
    for name in family_names(args):
        for model, prop, expected in chosen_rows(args.folder / name, args):
            for value in values:
                chosen = ["--backend", "bound_propagation", "-o", f"{args.setting}={value}", *args.more]
                record: dict[str, Any] = run(args.folder / name, model, prop, args.timeout, chosen)
                record |= {"family": name, "expected": expected, args.setting: value}
                records[value].append(record)
                if args.log:
                    with args.log.open("a", encoding="utf-8") as log:
                        log.write(json.dumps(record) + "\n")
    print(f"| {args.setting} | decided | wrong | seconds | subproblems | boxes |\n|---|---|---|---|---|---|")
    for value, found in records.items():
        print(_row(value, found, args.timeout))
    for line in _differences(records):
        print(line)


def _row(value: str, found: list[dict[str, Any]], limit: float) -> str:
    decided = [r for r in found if r["verdict"] in DECIDED]
    wrong = [r for r in decided if r["expected"] in DECIDED and r["verdict"] != r["expected"]]
    spent = sum(r["wall"] for r in decided) + 2 * limit * (len(found) - len(decided))
    counts = (sum(_counter(r, key) for r in found) for key in ("subproblems", "boxes"))
    cells = [value, len(decided), len(wrong), f"{spent / max(1, len(found)):.2f}", *counts]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _counter(record: dict[str, Any], key: str) -> int:
    """The sum of a counter over all turns of the backend."""

    def counts(stats: Any) -> Iterator[int]:
        if isinstance(stats, dict):
            for name, value in stats.items():
                if name == key and isinstance(value, int):
                    yield value
                else:
                    yield from counts(value)
        elif isinstance(stats, list):
            for value in stats:
                yield from counts(value)

    return sum(counts(record.get("stats", {})))


def _differences(records: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """The instances whose verdicts differ, with verdict and seconds for each value."""
    for same in zip(*records.values(), strict=True):
        if len({r["verdict"] for r in same}) > 1:
            each = ", ".join(
                f"{v}: {r['verdict']} {r['wall']:.1f} s" for v, r in zip(records, same, strict=True)
            )
            yield f"{same[0]['family']} {same[0]['model']} {same[0]['property']}: {each}"


if __name__ == "__main__":
    main()
