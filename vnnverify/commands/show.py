# SPDX-License-Identifier: Apache-2.0
"""`vnnverify show`: a model node by node, how each operator is bounded, and which backends take it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import click

from vnnverify.errors import PluginError, UnsupportedModelError

if TYPE_CHECKING:
    from vnnverify.backend import Support
    from vnnverify.importer import Model
    from vnnverify.ir import Graph, Node, Op
    from vnnverify.plugins import Plugins
    from vnnverify.query import Layout, Query, Source

__all__ = ["command", "provers", "treatment"]


@click.command("show")
@click.argument("model")
@click.argument("query", required=False)
def command(model: str, query: str | None) -> int:
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
    from vnnverify.importer import load_model
    from vnnverify.plugins import load_plugins

    plugins = load_plugins()
    plugins.install_rules()
    try:
        found = load_model(model, operators=plugins.operators)
    except UnsupportedModelError as error:
        _unreadable(model, error, plugins)
        return 0
    asked = _unit_query(found) if query is None else _read_query(found, query)
    _nodes(found.graph, provers(plugins, asked))
    _summary(found.graph)
    _agreement(found)
    if query is not None:
        _clauses(asked)
    click.echo("backends")
    for name in sorted(plugins.backends):
        support = _support(plugins, name, asked)
        click.echo(f"  {name:<20} {'yes' if support else f'no: {support.reason}'}")
    return 0


def provers(plugins: Plugins, like: Query) -> dict[str, Callable[[Graph], bool]]:
    """The backends that need bounds, by name, as functions that say whether they take a graph.

    Args:
        like: lends what a query needs besides; nothing is run.
    """

    def takes(name: str, graph: Graph) -> bool:
        return bool(_support(plugins, name, _about(graph, like.layout, like.source)))

    return {name: partial(takes, name) for name, info in sorted(plugins.backends.items()) if not info.opaque}


def treatment(node: Node, provers: Mapping[str, Callable[[Graph], bool]]) -> str:
    """How bounds get through a node: `exact`, `relaxed`, `relaxed/cases` (piecewise linear, so that an
    exact encoding can split it into cases), `by parts`, `by NAME` or `not bounded`.

    Args:
        provers: backends by name, as functions that say whether they take a graph; asked only where
            intervals, and with them the linear bounds, know no way.
    """
    from vnnverify.domains import interval
    from vnnverify.ir import Affine, Elementwise, Graph, Maximum

    op = node.op
    if isinstance(op, Affine):
        return "exact"
    if interval.domain.find(op) is None:
        alone = Graph(tuple(dict.fromkeys(node.inputs)), (node.output,), (node,))
        if interval.supports(alone):
            return "by parts"
        names = [name for name, takes in provers.items() if takes(alone)]
        return f"by {', '.join(names)}" if names else "not bounded"
    piecewise = isinstance(op, Maximum) or (isinstance(op, Elementwise) and op.kinks is not None)
    return "relaxed/cases" if piecewise else "relaxed"


def _unreadable(path: str, error: UnsupportedModelError, plugins: Plugins) -> None:
    from vnnverify.files import read_bytes
    from vnnverify.importer.census import unsupported_operators

    click.echo(f"{error}")
    for name, count in unsupported_operators(read_bytes(path), plugins.operators).items():
        click.echo(f"  unsupported: {name} ({count} nodes)")
    click.echo("backends")
    for name, info in sorted(plugins.backends.items()):
        answer = "as a black box, if onnxruntime can run it" if info.opaque else "no: needs a readable model"
        click.echo(f"  {name:<20} {answer}")


def _parameters(op: Op) -> int:
    from torch import Tensor

    values = (getattr(op, field.name) for field in dataclasses.fields(op))
    return sum(v.numel() for v in values if isinstance(v, Tensor) and v.is_floating_point())


def _nodes(graph: Graph, provers: Mapping[str, Callable[[Graph], bool]]) -> None:
    for node in graph.nodes:
        shape = "×".join(str(n) for n in node.output.shape) or "scalar"
        row = f"{node.name[:40]:<40} {node.op.kind:<14} {shape:<18} {_parameters(node.op):>10,}"
        click.echo(f"{row}  {treatment(node, provers)}")


def _summary(graph: Graph) -> None:
    from vnnverify.ops.piecewise import Relu

    relus = sum(n.output.size for n in graph.nodes if isinstance(n.op, Relu))
    total = sum(_parameters(n.op) for n in graph.nodes)
    click.echo(
        f"{graph.input_size} inputs, {graph.output_size} outputs, {len(graph.nodes)} nodes, "
        f"{total:,} parameters, {relus:,} ReLU"
    )


def _agreement(model: Model) -> None:
    import torch

    from vnnverify.importer.agreement import check_against_onnxruntime

    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4, model.graph.input_size, generator=generator, dtype=torch.float64)
    worst = check_against_onnxruntime(model, points)
    click.echo(f"onnxruntime agrees to {worst:.1e} (largest relative difference, 4 random points)")


def _read_query(model: Model, path: str) -> Query:
    from vnnverify.loader import build_query
    from vnnverify.vnnlib import load_property

    return build_query(model, load_property(path))


def _unit_query(model: Model) -> Query:
    from vnnverify.validate import OnnxSource
    from vnnverify.vnnlib import Property

    anything = Property(model.graph.input_size, model.graph.output_size, (), (), "", "")
    return _about(model.graph, model.layout, OnnxSource(model, anything, ()))


def _about(graph: Graph, layout: Layout, source: Source) -> Query:
    """Does some output reach output 0 (or, with one output, does that reach zero) on the unit box?"""
    import torch

    from vnnverify.query import Clause, Polytope, Query, Region

    n, m = graph.input_size, graph.output_size
    rows = torch.eye(m, dtype=torch.float64)
    others = rows[:1] - rows[1:] if m > 1 else rows
    unsafe = tuple(Polytope.of(row[None], torch.zeros(1)) for row in others)
    region = Region(torch.zeros(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64))
    return Query(graph, (Clause(region, unsafe),), layout, source)


def _clauses(query: Query) -> None:
    click.echo(f"{len(query.clauses)} clauses")
    for index, clause in enumerate(query.clauses[:5]):
        width = clause.region.upper - clause.region.lower
        free = int((width > 0).sum())
        rows = ", ".join(str(p.b.numel()) for p in clause.unsafe[:12])
        more = "" if len(clause.unsafe) <= 12 else ", …"
        click.echo(
            f"  clause {index}: {free} of {width.numel()} inputs vary, widest {float(width.max()):.4g}; "
            f"{len(clause.unsafe)} unsafe polytopes with rows {rows}{more}"
        )
    if len(query.clauses) > 5:
        click.echo(f"  … and {len(query.clauses) - 5} more")


def _support(plugins: Plugins, name: str, query: Query) -> Support:
    """The backend's own answer; what fails is a no."""
    from vnnverify.backend import Support

    try:
        return plugins.backend_class(name)().supports(query)
    except PluginError as error:
        return Support.no(str(error))
    except Exception as error:  # fence: somebody else's code
        return Support.no(f"it failed when asked ({type(error).__name__}: {error})".splitlines()[0])
