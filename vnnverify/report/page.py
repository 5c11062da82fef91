# SPDX-License-Identifier: Apache-2.0
"""Puts the page together. It loads nothing: styles, script, plots and data are in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from vnnverify import __version__
from vnnverify.errors import PluginError, SpecError
from vnnverify.report.rows import Gathering, row
from vnnverify.report.summary import Summary, backends, families
from vnnverify.suites.record import Record
from vnnverify.suites.runs import RecordedRun, instance_name
from vnnverify.suites.tables import subproblems

__all__ = ["build_page"]


def build_page(runs: Sequence[RecordedRun], title: str = "") -> str:
    """The page about the first run, compared with the others.

    Raises:
        PluginError: matplotlib or jinja2 are not installed.
        SpecError: the first run has no records, or a result file cannot be read.
    """
    try:
        import jinja2
        import matplotlib  # noqa: F401  (asked for here, where its absence can be explained)
    except ModuleNotFoundError as error:
        raise PluginError(
            f"{error.name} is not installed; install the extra: pip install 'vnnverify[report]'"
        ) from error
    from vnnverify.report import figures

    run, others = runs[0], runs[1:]
    if not run.records:
        raise SpecError("the run has no finished instances yet", source=str(run.folder))
    names = _distinct([each.name for each in runs])
    pairs = _pairs(run, others[0]) if others else []
    partner = {mine.key: other for mine, other in pairs}
    plots = [
        (
            "cactus",
            "Decided over time",
            figures.cactus(dict(zip(names, (r.records for r in runs), strict=True))),
        )
    ]
    if pairs:
        plots.append(("scatter", f"{names[0]} and {names[1]}", figures.scatter(pairs, (names[0], names[1]))))
    plots.append(("times", "Times", figures.time_histogram(run.records)))
    if any(subproblems(record) for record in run.records):
        plots.append(("subproblems", "Sub-problems", figures.subproblem_histogram(run.records)))
    gathering = Gathering(run)
    place = {record.key: index for index, record in enumerate(run.records)}
    data = {
        "rows": [row(record, partner.get(record.key)) for record in run.records],
        "details": [gathering.details(record) for record in run.records],
        "points": [place[mine.key] for mine, _ in pairs],
        "names": names,
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = _number
    template = environment.from_string(_text("page.html.j2"))
    return template.render(
        title=title or f"Run {names[0]}",
        run=run,
        names=names,
        total=Summary.of(names[0], run.records),
        others=[Summary.of(name, each.records) for name, each in zip(names[1:], others, strict=True)],
        families=families(run.records),
        backends=backends(run.records),
        plots=plots,
        facts=_facts(run),
        data=_script_json(data),
        style=_text("page.css"),
        script=_text("page.js"),
        version=__version__,
    )


def _text(name: str) -> str:
    return (files("vnnverify.report") / name).read_text(encoding="utf-8")


def _script_json(data: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str)
    return text.replace("</", "<\\/").replace("<!--", "<\\u0021--").replace("\u2028", "\\u2028")


def _distinct(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def _pairs(run: RecordedRun, other: RecordedRun) -> list[tuple[Record, Record]]:
    """The instances that are in both runs."""
    theirs = {instance_name(record): record for record in other.records}
    found = ((record, theirs.get(instance_name(record))) for record in run.records)
    return [(mine, match) for mine, match in found if match is not None]


def _facts(run: RecordedRun) -> list[tuple[str, str]]:
    """When, where, with what."""
    if run.header is None:
        return []
    machine, versions = run.header.machine, run.header.versions
    memory = machine.get("memory")
    parts = [
        ("started", run.header.started),
        ("machine", ", ".join(str(machine[key]) for key in ("name", "processor") if machine.get(key))),
        ("cores", str(machine.get("cores", ""))),
        ("memory", f"{memory / 2**30:.0f} GiB" if isinstance(memory, int) else ""),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
        (
            "options",
            ", ".join(
                f"{key}={value}"
                for key, value in run.header.options.items()
                if value not in (None, "", [], {})
            ),
        ),
    ]
    return [(name, text) for name, text in parts if text]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
