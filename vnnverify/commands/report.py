# SPDX-License-Identifier: Apache-2.0
"""`vnnverify report`: one page of HTML about a run, compared with others; or the run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vnnverify.errors import OptionError
from vnnverify.results import require_writable, write_file

if TYPE_CHECKING:
    from vnnverify.suites.runs import RecordedRun

__all__ = ["command"]


@click.command("report")
@click.argument("folders", nargs=-1, required=True, metavar="DIR [OTHER…]")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    help="Where to write: .html, .xml (JUnit), .csv or .parquet [default: DIR/report.html].",
)
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
    vnnverify report out/ -o junit.xml
    """
    from vnnverify.suites.runs import read_run

    more = (*names, *[""] * len(folders))
    runs = [read_run(folder, name) for folder, name in zip(folders, more, strict=False)]
    target = out or str(runs[0].folder / "report.html")
    require_writable(target)
    write_file(target, _content(Path(target).suffix.lower(), runs, title))
    click.echo(target)
    return 0


def _content(ending: str, runs: list[RecordedRun], title: str) -> str | bytes:
    """What is written to a file with this ending."""
    if ending in (".html", ".htm"):
        from vnnverify.report import build_page

        return build_page(runs, title)
    if ending == ".xml":
        from vnnverify.suites.junit import junit_xml

        return junit_xml([record for run in runs for record in run.records], title or runs[0].name)
    from vnnverify.suites.tables import csv_table, parquet_table

    if ending == ".csv":
        return csv_table(runs)
    if ending == ".parquet":
        return parquet_table(runs)
    raise OptionError(f"-o: the ending {ending!r} is none of .html, .xml, .csv, .parquet")
