# SPDX-License-Identifier: Apache-2.0
"""`vnnverify show`: a model node by node, and how each operator is bounded."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from vnnverify.errors import UnsupportedModelError

if TYPE_CHECKING:
    from vnnverify.ir import Graph, Op

__all__ = ["command", "treatment"]


@click.command("show")
@click.argument("model")
@click.argument("query", required=False)
def command(model: str, query: str | None) -> int:
    """Show what MODEL is made of, which operators are bounded exactly, by relaxation or not at all,
    and, with QUERY, what is asked about it."""
    from vnnverify.importer import load_model
    from vnnverify.plugins import load_plugins

    plugins = load_plugins()
    try:
        found = load_model(model, operators=tuple(plugins.operators))
    except UnsupportedModelError as error:
        from vnnverify.files import read_bytes
        from vnnverify.importer.census import unsupported_operators

        click.echo(f"{error}")
        for name, count in unsupported_operators(read_bytes(model), tuple(plugins.operators)).items():
            click.echo(f"  unsupported: {name} ({count} nodes)")
        return 0
    _nodes(found.graph)
    _summary(found.graph)
    click.echo(
        f"onnxruntime agrees to {_agreement(model):.1e} (largest relative difference, 4 random points)"
    )
    if query is not None:
        _query(model, query)
    return 0


def treatment(op: Op) -> str:
    """How the linear bounds and intervals treat an operator: exact, relaxed, parts or none."""
    from vnnverify.domains import interval
    from vnnverify.ir import Affine, Composite

    if isinstance(op, Affine):
        return "exact"
    if interval.domain.find(op) is not None:
        return "relaxed"
    return "by its parts" if isinstance(op, Composite) else "not bounded"


def _parameters(op: Op) -> int:
    from torch import Tensor

    values = (getattr(op, field.name) for field in dataclasses.fields(op))
    return sum(v.numel() for v in values if isinstance(v, Tensor) and v.is_floating_point())


def _nodes(graph: Graph) -> None:
    for node in graph.nodes:
        shape = "×".join(str(n) for n in node.output.shape) or "scalar"
        row = f"{node.name[:40]:<40} {node.op.kind:<14} {shape:<18} {_parameters(node.op):>10,}"
        click.echo(f"{row}  {treatment(node.op)}")


def _summary(graph: Graph) -> None:
    from vnnverify.ops.piecewise import Relu

    relus = sum(n.output.size for n in graph.nodes if isinstance(n.op, Relu))
    total = sum(_parameters(n.op) for n in graph.nodes)
    click.echo(
        f"{graph.input_size} inputs, {graph.output_size} outputs, {len(graph.nodes)} nodes, "
        f"{total:,} parameters, {relus:,} ReLU"
    )


def _agreement(model: str) -> float:
    import torch

    from vnnverify.importer import load_model
    from vnnverify.importer.agreement import check_against_onnxruntime

    loaded = load_model(model)
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4, loaded.graph.input_size, generator=generator, dtype=torch.float64)
    return check_against_onnxruntime(loaded, points)


def _query(model: str, path: str) -> None:
    from vnnverify.loader import load_query

    query = load_query(model, path)
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
