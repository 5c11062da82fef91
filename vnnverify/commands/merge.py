# SPDX-License-Identifier: Apache-2.0
"""`vnnverify merge`: the parts of a run, joined."""

from __future__ import annotations

import json

import click

__all__ = ["command"]


@click.command("merge")
@click.argument("folders", nargs=-1, required=True, metavar="DIR …")
@click.option("--out", required=True, metavar="DIR", help="New folder for the whole.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON line.")
def command(folders: tuple[str, ...], out: str, as_json: bool) -> int:
    """Join what `vnnverify bench --shard I/N` left in several folders.

    Parts that contradict each other are refused. Exit code 1 if a verdict contradicts what is expected.
    """
    from vnnverify.suites.merge import merge

    summary = merge(folders, out)
    click.echo(json.dumps(summary.to_record()) if as_json else "\n".join(summary.lines()))
    return 1 if summary.wrong else 0
