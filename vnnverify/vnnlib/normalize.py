# SPDX-License-Identifier: Apache-2.0
"""A property and a graph to the normal form `Query`. Numbers are rounded here, once, outward."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.arrangement import Reshape, Select
from vnnverify.query import Clause, Layout, Polytope, Query, Region, Source
from vnnverify.vnnlib.ast import And, Compare, Number, Variable
from vnnverify.vnnlib.disjuncts import MAX_DISJUNCTS, count_disjuncts, disjuncts
from vnnverify.vnnlib.property import Property
from vnnverify.vnnlib.rows import NonlinearTerm, Row, float_row, rows_of

__all__ = ["normalize"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Conjunct:
    """One disjunct: a box and rows."""

    lower: np.ndarray  # (n,)
    upper: np.ndarray
    inputs: list[Row] = field(default_factory=list)  # over X only, more than one variable
    outputs: list[Row] = field(default_factory=list)  # over Y, or X and Y
    impossible: bool = False


def normalize(prop: Property, graph: Graph, layout: Layout, source: Source) -> Query:
    """Compile a property onto a graph.

    Rows that mix inputs and outputs get the inputs they need as further outputs of the graph.

    Raises:
        SpecError: counts do not fit the graph, an input lacks a bound, a term is not linear, or the
            property multiplies out to too many disjuncts.
    """
    _check_counts(prop, graph, layout)
    whole = And(prop.assertions)
    count = count_disjuncts(whole)
    if count > MAX_DISJUNCTS:
        raise prop.error(
            f"the property multiplies out to {count:,} disjuncts; at most {MAX_DISJUNCTS:,} are read"
        )
    reader = _Reader(prop, graph.input_size)
    conjuncts = []
    for number, comparisons in enumerate(disjuncts(whole), start=1):
        conjunct = reader.read(comparisons, f"disjunct {number} of {count}" if count > 1 else "")
        if conjunct is not None:
            conjuncts.append(conjunct)
    mixed = sorted({v.index for c in conjuncts for r in c.outputs for v in r.coefficients if v.kind == "X"})
    column = {Variable("Y", k): k for k in range(prop.outputs)}
    column.update({Variable("X", index): prop.outputs + k for k, index in enumerate(mixed)})
    clauses = _clauses(conjuncts, column, graph.input_size, prop)
    return Query(_with_inputs_exposed(graph, mixed), clauses, layout, source)


def _check_counts(prop: Property, graph: Graph, layout: Layout) -> None:
    for what, declared, found, specs in (
        ("inputs X", prop.inputs, graph.input_size, layout.inputs),
        ("outputs Y", prop.outputs, graph.output_size, layout.outputs),
    ):
        if declared != found:
            shapes = ", ".join(f"{s.name} {list(s.shape)}" for s in specs)
            raise prop.error(f"the property declares {declared} {what}, the model has {found} ({shapes})")


class _Reader:
    def __init__(self, prop: Property, inputs: int) -> None:
        self.prop = prop
        self.inputs = inputs

    def read(self, comparisons: Iterable[Compare], name: str) -> _Conjunct | None:
        """One conjunction, or None if it is vacuous."""
        found = _Conjunct(np.full(self.inputs, -np.inf), np.full(self.inputs, np.inf))
        for comparison in comparisons:
            self._add(found, comparison)
        self._check_bounds(found, name)
        crossed = np.flatnonzero(found.lower > found.upper)
        if crossed.size:
            where = f" in {name}" if name else ""
            logger.warning("X_%d has a lower bound above its upper bound%s: it is vacuous", crossed[0], where)
            return None
        return None if found.impossible else found

    def _add(self, found: _Conjunct, comparison: Compare) -> None:
        lhs, rhs, operator = comparison.lhs, comparison.rhs, comparison.operator
        if isinstance(lhs, Number) and isinstance(rhs, Variable):
            lhs, rhs = rhs, lhs
            operator = {"<=": ">=", "<": ">", ">=": "<=", ">": "<"}.get(operator, operator)
        if isinstance(lhs, Variable) and lhs.kind == "X" and isinstance(rhs, Number):
            k = lhs.index
            if operator != ">=" and operator != ">" and rhs.up < found.upper[k]:
                found.upper[k] = rhs.up
            if operator != "<=" and operator != "<" and rhs.down > found.lower[k]:
                found.lower[k] = rhs.down
            return
        try:
            rows = rows_of(comparison)
        except NonlinearTerm:
            message = "products of variables are not supported; only linear terms are"
            raise self.prop.error(message, comparison.offset) from None
        for row in rows:
            self._add_row(found, row)

    def _add_row(self, found: _Conjunct, row: Row) -> None:
        if not row.coefficients:
            if not (row.bound > 0 or (row.bound == 0 and not row.strict)):
                found.impossible = True
        elif row.kinds != {"X"}:
            found.outputs.append(row)
        elif len(row.coefficients) == 1:
            ((variable, coefficient),) = row.coefficients.items()
            size = abs(coefficient)
            unit = Row({variable: coefficient / size}, row.bound / size, row.strict, row.offset)
            _, up = float_row(unit) or ({}, float("inf"))
            if coefficient > 0:
                found.upper[variable.index] = min(found.upper[variable.index], up)
            else:
                found.lower[variable.index] = max(found.lower[variable.index], -up)
        else:
            found.inputs.append(row)

    def _check_bounds(self, found: _Conjunct, name: str) -> None:
        for which, ends, sign in (("lower", found.lower, ">="), ("upper", found.upper, "<=")):
            missing = np.flatnonzero(np.isinf(ends))
            if missing.size:
                where = f" in {name}" if name else ""
                raise self.prop.error(
                    f"X_{missing[0]} has no {which} bound{where}; add (assert ({sign} X_{missing[0]} …))"
                )


def _clauses(
    conjuncts: list[_Conjunct], column: dict[Variable, int], inputs: int, prop: Property
) -> tuple[Clause, ...]:
    """Disjuncts over the same region become one clause with several unsafe polytopes."""
    if not conjuncts:
        return ()
    lower = torch.from_numpy(np.stack([c.lower for c in conjuncts]))
    upper = torch.from_numpy(np.stack([c.upper for c in conjuncts]))
    x_column = {Variable("X", k): k for k in range(inputs)}
    groups: dict[object, tuple[Region, list[Polytope]]] = {}
    for k, conjunct in enumerate(conjuncts):
        rows = tuple(
            (tuple(sorted((v.index, c) for v, c in r.coefficients.items())), r.bound, r.strict)
            for r in conjunct.inputs
        )
        key = (conjunct.lower.tobytes(), conjunct.upper.tobytes(), rows)
        if key not in groups:
            linear = _polytope(conjunct.inputs, x_column, inputs, prop) if conjunct.inputs else None
            groups[key] = (Region(lower[k], upper[k], linear), [])
        groups[key][1].append(_polytope(conjunct.outputs, column, len(column), prop))
    return tuple(Clause(region, tuple(unsafe)) for region, unsafe in groups.values())


def _polytope(rows: list[Row], column: dict[Variable, int], width: int, prop: Property) -> Polytope:
    A = np.zeros((len(rows), width))
    b = np.zeros(len(rows))
    for k, row in enumerate(rows):
        floats = float_row(row)
        if floats is None:
            raise prop.error("a coefficient needs more than 53 bits to be exact", row.offset)
        for variable, coefficient in floats[0].items():
            A[k, column[variable]] = coefficient
        b[k] = floats[1]
    strict = torch.tensor([row.strict for row in rows], dtype=torch.bool)
    return Polytope(torch.from_numpy(A), torch.from_numpy(b), strict)


def _with_inputs_exposed(graph: Graph, indices: list[int]) -> Graph:
    """The graph with some flat inputs as one more output."""
    if not indices:
        return graph
    nodes = list(graph.nodes)
    outputs = list(graph.outputs)
    start = 0
    for value in graph.inputs:
        own = [k - start for k in indices if start <= k < start + value.size]
        start += value.size
        if own:
            flat = Value(f"{value.name}#flat", (value.size,))
            chosen = Value(f"{value.name}#chosen", (len(own),))
            nodes.append(Node(Reshape(flat.shape), (value,), flat, "property"))
            nodes.append(Node(Select.of(torch.tensor(own), chosen.shape), (flat,), chosen, "property"))
            outputs.append(chosen)
    return graph.with_nodes(nodes, outputs)
