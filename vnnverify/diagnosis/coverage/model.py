# SPDX-License-Identifier: Apache-2.0
"""One model, node by node and as a whole, as plain data."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.diagnosis.coverage.answers import (
    BackendAnswer,
    answers,
    black_box_answers,
    provers,
    unit_query,
)
from vnnverify.diagnosis.coverage.treatment import NOT_BOUNDED, treatment
from vnnverify.guard.agreement import agreement_needed, check_against_onnxruntime
from vnnverify.importer import Model
from vnnverify.ir import Affine, Graph, Op, Shape
from vnnverify.numerics import AGREEMENT
from vnnverify.plugin.manager import Plugins
from vnnverify.query import Clause, Query

__all__ = ["ClauseSize", "Coverage", "NodeCoverage", "coverage_of", "unreadable"]


@dataclass(frozen=True, slots=True)
class NodeCoverage:
    """A node of the simplified graph. `shape` is that of its output, `bounded` as `treatment` says."""

    name: str
    operator: str
    shape: Shape
    parameters: int
    bounded: str


@dataclass(frozen=True, slots=True)
class ClauseSize:
    """How much a clause leaves open: inputs that vary, the widest of them, rows of each unsafe polytope."""

    inputs: int
    varying: int
    widest: float
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is in a model, and who can work with it.

    Of a model that cannot be read there is `problem`, the operators without a reader with the number of
    their nodes, and what the backends say; nothing else.
    """

    backends: tuple[BackendAnswer, ...]
    problem: str = ""
    unsupported: Mapping[str, int] = dataclasses.field(default_factory=dict)
    inputs: int = 0
    outputs: int = 0
    parameters: int = 0
    nonlinear: Mapping[str, int] = dataclasses.field(default_factory=dict)  # operator -> output elements
    nodes: tuple[NodeCoverage, ...] = ()
    agreement: float | None = None  # largest relative difference to onnxruntime; None: it cannot run it
    needed: float = AGREEMENT  # the difference up to which it counts as the same function
    clauses: tuple[ClauseSize, ...] | None = None  # None: no query was given

    @property
    def bounded(self) -> dict[str, int]:
        """How many nodes are bounded in each way, most frequent first."""
        return dict(Counter(node.bounded for node in self.nodes).most_common())

    @property
    def takers(self) -> int:
        """How many backends take it."""
        return sum(answer.takes for answer in self.backends)

    @property
    def summary(self) -> str:
        """One line: what is covered, and by how many backends."""
        who = f"{self.takers} of {len(self.backends)} backends take it"
        if self.problem:
            count = sum(self.unsupported.values())
            return f"cannot be read ({count} nodes without a reader); {who}"
        missing = self.bounded.get(NOT_BOUNDED, 0)
        ways = ", ".join(f"{count} {way}" for way, count in self.bounded.items() if way != NOT_BOUNDED)
        total = len(self.nodes)
        return f"{total - missing} of {total} nodes bounded{f' ({ways})' if ways else ''}; {who}"

    def to_json(self) -> dict[str, object]:
        """The same as values that `json.dumps` takes."""
        found = dataclasses.asdict(self)
        if self.agreement is not None:
            found["agreement"] = min(self.agreement, sys.float_info.max)  # JSON knows no infinity
        return {"readable": not self.problem, **found, "bounded": self.bounded, "summary": self.summary}


def coverage_of(model: Model, query: Query | None, plugins: Plugins) -> Coverage:
    """The coverage of a model that could be read.

    Args:
        query: what backends are asked about; default: a box from 0 to 1 in which output 0 must stay the
            largest.
        plugins: with their rules installed.
    """
    graph = model.graph
    asked = unit_query(model) if query is None else query
    takes = provers(plugins, asked)
    nodes = tuple(
        NodeCoverage(n.name, n.op.kind, n.output.shape, _parameters(n.op), treatment(n, takes))
        for n in graph.nodes
    )
    return Coverage(
        backends=answers(plugins, asked),
        inputs=graph.input_size,
        outputs=graph.output_size,
        parameters=sum(node.parameters for node in nodes),
        nonlinear=_nonlinear(graph),
        nodes=nodes,
        agreement=_agreement(model),
        needed=agreement_needed(model.layout),
        clauses=None if query is None else tuple(map(_size, query.clauses)),
    )


def unreadable(problem: str, unsupported: Mapping[str, int], plugins: Plugins) -> Coverage:
    """The coverage of a model that holds operators which the importer cannot read."""
    return Coverage(black_box_answers(plugins), problem, dict(unsupported))


def _parameters(op: Op) -> int:
    values = (getattr(op, field.name) for field in dataclasses.fields(op))
    return sum(v.numel() for v in values if isinstance(v, Tensor) and v.is_floating_point())


def _nonlinear(graph: Graph) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for node in graph.nodes:
        if not isinstance(node.op, Affine):
            counts[node.op.kind] += node.output.size
    return dict(counts.most_common())


def _agreement(model: Model) -> float | None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4, model.graph.input_size, generator=generator, dtype=torch.float64)
    try:
        return check_against_onnxruntime(model, points)
    except Exception:  # onnxruntime raises what its C++ raises
        return None


def _size(clause: Clause) -> ClauseSize:
    width = clause.region.upper - clause.region.lower
    rows = tuple(p.b.numel() for p in clause.unsafe)
    return ClauseSize(width.numel(), int((width > 0).sum()), float(width.max()), rows)
