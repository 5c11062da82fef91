# SPDX-License-Identifier: Apache-2.0
"""`vnnverify score`: what the competition would give for some runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from vnnverify.errors import OptionError

if TYPE_CHECKING:
    from vnnverify.scoring import Board

__all__ = ["command"]


@click.command("score")
@click.argument("folders", nargs=-1, required=True, metavar="DIR…")
@click.option(
    "--benchmarks", "suites", multiple=True, metavar="DIR",
    help="Where networks, properties and instances.csv are; repeatable.",
)  # fmt: skip
@click.option(
    "--name", "names", multiple=True, metavar="NAME", help="What the tools are called, in turn; repeatable."
)
@click.option("--no-replay", is_flag=True, help="Take every sat at its word.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    folders: tuple[str, ...], suites: tuple[str, ...], names: tuple[str, ...], no_replay: bool, as_json: bool
) -> int:
    """Score runs by the rules of the competitions of 2025 and 2026.

    A run is a folder that `vnnverify bench` wrote, or a competition's folder or results.csv of any tool.
    10 points for a right answer, −150 for a wrong one; stored witnesses are replayed in onnxruntime.

    \b
    vnnverify score out/
    vnnverify score out/ results/nnenum results/pyrat --benchmarks benchmarks/
    """
    from vnnverify.scoring import find_instances, score
    from vnnverify.suites.runs import read_run

    more = (*names, *[""] * len(folders))
    runs = [read_run(folder, name) for folder, name in zip(folders, more, strict=False)]
    called = [run.name for run in runs]
    if len(set(called)) < len(called):
        raise OptionError(f"two runs are called {max(called, key=called.count)!r}; tell them apart by --name")
    board = score(runs, find_instances(runs, suites), replay=not no_replay)
    if as_json:
        click.echo(json.dumps(board.to_record()))
        return 0
    for line in _lines(board):
        click.echo(line)
    return 0


def _lines(board: Board) -> Iterator[str]:
    """A table of families and tools, then what was penalised, then every disagreement."""
    heads = [f"{tool:>18}" for tool in board.tools]
    width = max([6, *(len(family) for family in board.families)])
    yield f"{'family':<{width}}" + "".join(heads)
    for family in board.families:
        cells = (f"{board.percent(t, family):.1f} ({board.points(t, family)})" for t in board.tools)
        yield f"{family:<{width}}" + "".join(f"{cell:>18}" for cell in cells)
    yield f"{'total':<{width}}" + "".join(f"{board.total(tool):>18.1f}" for tool in board.tools)
    wrong = [
        (name, tool, entry)
        for name, by_tool in board.entries.items()
        for tool, entry in by_tool.items()
        if entry.points < 0
    ]
    for name, tool, entry in wrong:
        why = "a witness refutes it" if entry.standing is None else entry.standing.value
        reason = f": {entry.reason}" if entry.reason else ""
        yield f"wrong: {tool} says {entry.verdict.value} to {' '.join(name)}; {why}{reason}"
    for name, by_tool in board.disagreements:
        answers = ", ".join(
            f"{tool} {entry.verdict.value}" + (f" ({entry.standing.value})" if entry.standing else "")
            for tool, entry in by_tool.items()
            if entry.verdict.decided
        )
        yield f"disagreement: {' '.join(name)}: {answers}"
    for note in board.notes:
        yield f"note: {note}"
