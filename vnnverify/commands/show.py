# SPDX-License-Identifier: Apache-2.0
"""`vnnverify show`: a model node by node, how each operator is bounded, and which backends take it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from vnnverify.errors import UnsupportedModelError

if TYPE_CHECKING:
    from vnnverify.coverage import BackendAnswer, ClauseSize, Coverage
    from vnnverify.query import Query

__all__ = ["command"]

_CLAUSES, _POLYTOPES = 5, 12
"""How many are listed one by one."""


@click.command("show")
@click.argument("model")
@click.argument("query", required=False)
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def command(model: str, query: str | None, as_json: bool) -> int:
    """Show what MODEL is made of, how each operator is bounded, and which backends can work on it.

    \b
    exact          affine: no bound is lost but for rounding
    relaxed        by lines or constants above and below
    relaxed/cases  piecewise linear: an exact encoding (milp) splits it into cases
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
        _model(found)
    if found.clauses is not None:
        _clauses(found.clauses)
    click.echo("backends")
    for answer in found.backends:
        click.echo(f"  {answer.name:<20} {_words(answer)}")
    click.echo(found.summary)
    return 0


def _coverage(path: str, query: str | None) -> Coverage:
    from vnnverify.coverage import coverage_of, unreadable
    from vnnverify.external import read_model_file
    from vnnverify.importer import read_model
    from vnnverify.importer.census import unsupported_operators
    from vnnverify.loader import build_query
    from vnnverify.networks import join_networks, read_declared
    from vnnverify.plugins import load_plugins
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


def _model(found: Coverage) -> None:
    for node in found.nodes:
        shape = "×".join(str(n) for n in node.shape) or "scalar"
        row = f"{node.name[:40]:<40} {node.operator:<14} {shape:<18} {node.parameters:>10,}"
        click.echo(f"{row}  {node.bounded}")
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
