# SPDX-License-Identifier: Apache-2.0
"""`vnnverify show`: a model node by node, how each operator is bounded, and which backends take it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from vnnverify.errors import UnsupportedModelError

if TYPE_CHECKING:
    from vnnverify.diagnosis.coverage import BackendAnswer, ClauseSize, Coverage, NodeGroup
    from vnnverify.query import Query

__all__ = ["command"]

_CLAUSES, _POLYTOPES = 5, 12
"""How many are listed one by one."""
_ROWS = 60
"""Nodes beyond which those of a module share a row."""
_KINDS = 3
"""Operators that such a row names."""
_WIDEST = 40
"""Characters of a name that are shown, the last ones."""
_HEADER = ("node", "operator", "output", "parameters", "bounded")


@click.command("show")
@click.argument("model", type=click.Path(readable=False))
@click.argument("query", type=click.Path(readable=False), required=False)
@click.option("--all", "each", is_flag=True, help="A row for each node, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object, with each node.")
def command(model: str, query: str | None, each: bool, as_json: bool) -> int:
    """Show what MODEL is made of, how each operator is bounded, and which backends can work on it.

    \b
    exact          affine: no bound is lost but for rounding
    relaxed        by lines or constants above and below
    relaxed/cases  piecewise linear: an exact encoding splits it into cases
    by parts       taken apart into operators above
    by NAME        only this backend has bounds for it
    not bounded    nobody has

    With QUERY, also what is asked, and backends are asked about that query; without, about a box
    from 0 to 1 in which output 0 must stay the largest.
    """
    found = _coverage(model, query)
    if as_json:
        click.echo(json.dumps({"model": model, "query": query, **found.to_json()}))
        return 0
    if found.problem:
        click.echo(found.problem)
        for name, count in found.unsupported.items():
            click.echo(f"  unsupported: {name} ({count} nodes)")
    else:
        _model(found, each=each)
    if found.clauses is not None:
        _clauses(found.clauses)
    click.echo("backends")
    for answer in found.backends:
        click.echo(f"  {answer.name:<20} {_words(answer)}")
    click.echo(found.summary)
    return 0


def _coverage(path: str, query: str | None) -> Coverage:
    from vnnverify.diagnosis.coverage import coverage_of, unreadable
    from vnnverify.importer import read_model
    from vnnverify.importer.census import unsupported_operators
    from vnnverify.inputs.external import read_model_file
    from vnnverify.loading.loader import build_query
    from vnnverify.loading.networks import join_networks, read_declared
    from vnnverify.plugin.manager import load_plugins
    from vnnverify.vnnlib import load_property

    plugins = load_plugins()
    plugins.install_rules()
    prop = None if query is None else load_property(query)
    elements = None if prop is None or prop.networks else prop.inputs
    data = read_model_file(path).data
    asked: Query | None = None
    try:
        if prop is not None and len(prop.networks) == 1:
            model = read_declared(prop.networks[0], data, path, operators=tuple(plugins.operators))
            asked = join_networks(prop, [model])
        else:
            model = read_model(data, path=path, operators=plugins.operators, elements=elements)
            if prop is not None:
                asked = build_query(model, prop)
    except UnsupportedModelError as error:
        return unreadable(str(error), unsupported_operators(data, plugins.operators), plugins)
    return coverage_of(model, asked, plugins)


def _model(found: Coverage, *, each: bool) -> None:
    from vnnverify.diagnosis.coverage import groups

    shown = groups(found.nodes, len(found.nodes) if each else _ROWS)
    rows = [_HEADER, *map(_row, shown)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADER))]
    for row in rows:
        cells = (f"{cell:{'<<<><'[k]}{widths[k]}}" for k, cell in enumerate(row))
        click.echo("  ".join(cells).rstrip())
    if len(shown) < len(found.nodes):
        click.echo(f"({len(found.nodes)} nodes in {len(shown)} rows by module; --all shows each)")
    click.echo(
        f"{found.inputs} inputs, {found.outputs} outputs, {len(found.nodes)} nodes, "
        f"{found.parameters:,} parameters"
    )
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.nonlinear.items())
    click.echo(f"nonlinear elements: {kinds or 'none'}")
    if found.agreement is None:
        click.echo("onnxruntime cannot run it, so that no counterexample can be confirmed")
    else:
        word = "agrees to" if found.agreement <= found.needed else "differs by"
        points = "(largest relative difference, 4 random points)"
        click.echo(f"onnxruntime {word} {found.agreement:.1e} {points}")


def _row(group: NodeGroup) -> tuple[str, ...]:
    """A group of nodes as the cells of a row; the shape is that of the last output."""
    kinds = [kind if count == 1 else f"{count} {kind}" for kind, count in group.operators.items()]
    more = [f"{len(kinds) - _KINDS} more"] if len(kinds) > _KINDS else []
    shape = "×".join(map(str, group.nodes[-1].shape)) or "scalar"
    name = group.name if len(group.name) <= _WIDEST else f"…{group.name[1 - _WIDEST :]}"
    operators = ", ".join([*kinds[:_KINDS], *more])
    return name, operators, shape, f"{group.parameters:,}", ", ".join(group.bounded)


def _clauses(clauses: tuple[ClauseSize, ...]) -> None:
    click.echo(f"{len(clauses)} clauses")
    for index, clause in enumerate(clauses[:_CLAUSES]):
        rows = ", ".join(map(str, clause.rows[:_POLYTOPES]))
        more = "" if len(clause.rows) <= _POLYTOPES else ", …"
        click.echo(
            f"  clause {index}: {clause.varying} of {clause.inputs} inputs vary, widest {clause.widest:.4g}; "
            f"{len(clause.rows)} unsafe polytopes with rows {rows}{more}"
        )
    if len(clauses) > _CLAUSES:
        click.echo(f"  … and {len(clauses) - _CLAUSES} more")


def _words(answer: BackendAnswer) -> str:
    if answer.takes:
        return answer.reason or "yes"
    return f"no: {answer.reason}"
