# SPDX-License-Identifier: Apache-2.0
"""`vnnverify report`: one page of HTML about a run, compared with others."""

from __future__ import annotations

import click

from vnnverify.results import require_writable, write_file

__all__ = ["command"]


@click.command("report")
@click.argument("folders", nargs=-1, required=True, metavar="DIR [OTHER…]")
@click.option("-o", "--out", metavar="FILE", help="Where to write the page [default: DIR/report.html].")
@click.option("--title", default="", metavar="TEXT", help="The page's heading.")
@click.option(
    "--name", "names", multiple=True, metavar="NAME", help="What the runs are called, in turn; repeatable."
)
def command(folders: tuple[str, ...], out: str | None, title: str, names: tuple[str, ...]) -> int:
    """Write one self-contained HTML page about the run in DIR, compared with OTHER runs.

    A run is a folder that `vnnverify bench` wrote, or a competition's folder or results.csv of any tool.

    \b
    vnnverify report out/ -o report.html
    vnnverify report out/ published/nnenum
    """
    from vnnverify.report import build_page
    from vnnverify.results.runs import read_run

    more = (*names, *[""] * len(folders))
    runs = [read_run(folder, name) for folder, name in zip(folders, more, strict=False)]
    target = out or str(runs[0].folder / "report.html")
    require_writable(target)
    page = build_page(runs, title)
    write_file(target, page)
    click.echo(target)
    return 0
