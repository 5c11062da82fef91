# SPDX-License-Identifier: Apache-2.0
"""The plots, drawn by matplotlib as SVG whose colours are the page's, so that they follow light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from vnnverify.suites.record import Record
from vnnverify.suites.tables import subproblems

__all__ = ["Figure", "cactus", "scatter", "subproblem_histogram", "time_histogram"]

_COLOURS = {
    "#010101": "--ink", "#020202": "--muted", "#030303": "--line",
    "#040404": "--unsat", "#050505": "--sat", "#060606": "--open", "#070707": "--error",
    "#080808": "--run0", "#090909": "--run1", "#0a0a0a": "--run2", "#0b0b0b": "--run3",
    "#0c0c0c": "--run4", "#0d0d0d": "--run5",
}  # fmt: skip
"""What matplotlib is told, and the page's name for it."""
_INK, _MUTED, _LINE = "#010101", "#020202", "#030303"
_RUNS = ("#080808", "#090909", "#0a0a0a", "#0b0b0b", "#0c0c0c", "#0d0d0d")
_VERDICTS = {
    "unsat": "#040404", "sat": "#050505", "timeout": "#060606", "unknown": "#060606", "error": "#070707",
}  # fmt: skip
_SIZE = (4.6, 3.2)
"""Inches; small enough that its writing can be read on a telephone."""
_FLOOR = 0.01
"""Seconds below which times are drawn alike."""

Figure = str
"""An `<svg>` element."""


def cactus(runs: Mapping[str, Sequence[Record]]) -> Figure:
    """How many instances each run decides within how many seconds each."""
    with _axes("cactus") as (axes, out):
        for colour, (name, records) in zip(_cycle(), runs.items(), strict=False):
            times = sorted(max(_FLOOR, r.seconds) for r in records if _right(r))
            axes.plot(range(1, len(times) + 1), times, color=colour, linewidth=2.0, label=name)
            axes.plot(len(times), times[-1] if times else _FLOOR, "o", color=colour, markersize=5)
        if len(runs) == 1:
            (records,) = runs.values()
            for verdict in ("unsat", "sat"):
                times = sorted(
                    max(_FLOOR, r.seconds) for r in records if _right(r) and r.verdict.value == verdict
                )
                colour = _VERDICTS[verdict]
                axes.plot(
                    range(1, len(times) + 1), times, color=colour, linewidth=1.4, label=f"{verdict} alone"
                )
        axes.set_yscale("log")
        axes.set_xlim(left=0)
        axes.set_xlabel("instances decided")
        axes.set_ylabel("seconds for each")
        _legend(axes)
    return out[0]


def scatter(pairs: Sequence[tuple[Record, Record]], names: tuple[str, str]) -> Figure:
    """Seconds of the same instances in two runs; what a run did not decide lies on its rail."""
    with _axes("scatter") as (axes, out):
        times = [r.seconds for pair in pairs for r in pair if _right(r)]
        low, high = max(_FLOOR, min(times, default=0.1) / 1.5), max(times, default=10.0)
        rail = high * 2.2
        points = [[max(low, r.seconds) if _right(r) else rail for r in pair] for pair in pairs]
        colours = [_VERDICTS[_shown(pair)] for pair in pairs]
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        axes.plot([low, high], [low, high], color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axvline(rail, color=_LINE, linewidth=0.8)
        axes.axhline(rail, color=_LINE, linewidth=0.8)
        dots = axes.scatter(xs, ys, s=15, c=colours, alpha=0.6, linewidths=0)
        dots.set_gid("points")
        axes.set(xscale="log", yscale="log", xlim=(low / 1.3, rail * 1.3), ylim=(low / 1.3, rail * 1.3))
        axes.set_xlabel(f"{names[0]}, seconds (right edge: undecided)")
        axes.set_ylabel(f"{names[1]}, seconds (top: undecided)")
    return out[0]


def time_histogram(records: Sequence[Record]) -> Figure:
    """How many instances ended after how many seconds, by verdict."""
    return _histogram("times", records, [max(_FLOOR, r.seconds) for r in records], "seconds")


def subproblem_histogram(records: Sequence[Record]) -> Figure:
    """How many sub-problems were looked at, by verdict, where there were any."""
    searched = [record for record in records if subproblems(record)]
    counts = [float(subproblems(record)) for record in searched]
    return _histogram("subproblems", searched, counts, "sub-problems looked at")


def _histogram(name: str, records: Sequence[Record], values: Sequence[float], label: str) -> Figure:
    import numpy as np

    with _axes(name) as (axes, out):
        low, high = min(values, default=1.0), max(values, default=10.0)
        edges = np.geomspace(low, high * 1.01 if high > low else low * 10.0, 25)
        groups = [("unsat",), ("sat",), ("timeout", "unknown"), ("error",)]
        kept = [g for g in groups if any(r.verdict.value in g for r in records)]
        data = [[v for r, v in zip(records, values, strict=True) if r.verdict.value in g] for g in kept]
        axes.hist(
            data, bins=edges, stacked=True, rwidth=0.88, color=[_VERDICTS[g[0]] for g in kept],
            label=["undecided" if "timeout" in g else g[0] for g in kept],
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("instances")
        axes.yaxis.get_major_locator().set_params(integer=True)
        _legend(axes)
    return out[0]


def _right(record: Record) -> bool:
    return record.verdict.decided and not record.contradicts


def _shown(pair: tuple[Record, Record]) -> str:
    """The verdict that colours a point: that of the run which decided it."""
    decided = [r.verdict.value for r in pair if r.verdict.decided]
    return decided[0] if decided else "timeout"


def _cycle() -> Iterator[str]:
    while True:
        yield from _RUNS


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            frameon=False, labelcolor=_INK, fontsize=9, ncols=4, loc="lower left", bbox_to_anchor=(0, 1),
            borderaxespad=0.1, borderpad=0.1, handlelength=1.3, columnspacing=1.2,
        )  # fmt: skip


@contextmanager
def _axes(name: str) -> Iterator[tuple[Any, list[Figure]]]:
    """Axes to draw on; afterwards the list holds the drawing. pyplot, and so global state, is not used."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import LogLocator, NullFormatter

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9.5, "axes.edgecolor": _MUTED}
    out: list[Figure] = []
    with matplotlib.rc_context(settings):
        figure = Canvas(figsize=_SIZE, layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        axes.grid(color=_LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_linewidth(0.8)
        axes.tick_params(which="both", colors=_MUTED, labelsize=9, length=3)
        axes.tick_params(which="minor", length=2)
        axes.xaxis.label.set_color(_INK)
        axes.yaxis.label.set_color(_INK)
        yield axes, out
        for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
            if scale == "log":
                axis.set_major_locator(LogLocator(numticks=8))
                axis.set_minor_formatter(NullFormatter())
                axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        buffer = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    out.append(_inline(buffer.getvalue(), name))


def _inline(svg: str, name: str) -> Figure:
    """The drawing as part of a page: no prolog, ids of its own, the page's colours and letters."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href=")#', rf"\1#{name}-", svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
        rf'<svg class="plot" role="img" {_NAMESPACES} \1>',
        svg,
        count=1,
    )
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"\n\s*", "\n", svg)


_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
