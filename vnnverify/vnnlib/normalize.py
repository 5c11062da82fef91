# SPDX-License-Identifier: Apache-2.0
"""A property and a graph to the normal form `Query`. Numbers are rounded here, once, outward."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

import numpy as np
import torch

from vnnverify.ir import Graph
from vnnverify.query import Box, Clause, Layout, Polytope, Query, Region, Source
from vnnverify.vnnlib.ast import Compare, Variable
from vnnverify.vnnlib.balls import ball_of, round_rows
from vnnverify.vnnlib.bounds import derive_bounds
from vnnverify.vnnlib.cases import Cases, Rows, check_size, read_cases
from vnnverify.vnnlib.collector import collector_paused
from vnnverify.vnnlib.combination import Combination, Tail
from vnnverify.vnnlib.contradiction import Contradictions
from vnnverify.vnnlib.declaration import RANGES
from vnnverify.vnnlib.disjuncts import (
    MAX_DISJUNCTS,
    TooManyDisjuncts,
    conjuncts,
    disjuncts,
    without_unequal,
)
from vnnverify.vnnlib.exposure import Exposure
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.terms import NewTerm, Terms
from vnnverify.vnnlib.whole import keep_to_types, split_whole

__all__ = ["normalize"]

logger = logging.getLogger(__name__)

CLAUSE_SIZE = 1 << 21
"""Most polytopes times rows of one clause, as searches hold tables of that size for each box. What is more
becomes several clauses over the same region."""


def normalize(prop: ParsedProperty, graph: Graph, layout: Layout, source: Source) -> Query:
    """Compile a property onto a graph.

    A property is a conjunction of comparisons and disjunctions. Those that bound inputs multiply
    out to regions, those over outputs to polytopes; disjuncts over the same region share a clause. Where that
    would be too many, a disjunction becomes one row (`combination`).
    Rows that mix inputs and outputs get the inputs they need as further outputs of the graph, and so do
    products of variables. Rows over several inputs cut the region and are rows of its polytopes too, for
    backends that know boxes only. Boxes of whole-number inputs hold what their types hold, and where that is
    little there is a clause for each of it. Disjuncts whose box is empty are dropped with a warning.

    Raises:
        SpecError: counts do not fit the graph, an input has no bound and none follows from linear rows, or
            the property multiplies out to too many disjuncts.
    """
    _check_counts(prop, graph, layout)
    with collector_paused():
        return _normalize(prop, graph, layout, source)


def _normalize(prop: ParsedProperty, graph: Graph, layout: Layout, source: Source) -> Query:
    terms = Terms()
    types = layout.whole
    facts, unions = _read(prop, terms, types)
    contradictions = Contradictions()
    combination = Combination.of(prop, facts, unions, terms)
    regions = _regions(prop, facts, combination.regions, types, contradictions, terms.found)
    tails = _satisfiable(facts, combination.tails, contradictions)
    heads = {head: facts.outputs[0] + head for head in dict.fromkeys(chain.from_iterable(regions.heads))}
    exposure = Exposure(graph)
    exposure.inputs(_indices("X", heads.values()) | _indices("X", tails))
    exposure.terms(terms.found, _indices("Z", heads.values()) | _indices("Z", tails))
    groups = [head + tail for head in heads.values() for tail in tails]
    several = any(tail.choice for tail in combination.tails)
    possible = [not several or not contradictions.of_rows(rows) for rows in groups]
    polytopes = list(zip(_polytopes(prop, groups, exposure.column), possible, strict=True))
    start = {head: k * len(tails) for k, head in enumerate(heads)}
    unsafe = (
        [p for head in own for p, some in polytopes[start[head] : start[head] + len(tails)] if some]
        for own in regions.heads
    )
    pairs = zip(regions.regions, unsafe, strict=True)
    clauses = tuple(Clause(region, part) for region, all_ in pairs for part in _parts(all_))
    return Query(exposure.graph, clauses, layout, source)


def _satisfiable(facts: Cases, tails: Sequence[Tail], contradictions: Contradictions) -> list[Rows]:
    """The rows of the tails that contradict neither themselves nor what holds everywhere, as far as is
    known."""
    found = []
    always = facts.said.rows(0)
    for tail in tails:
        own = [comparison for cases, case in tail.choice for comparison in cases.said.rows(case)]
        if not own or not contradictions.among([*always, *own]):
            found.append(tail.rows)
    return found


def _parts(polytopes: Sequence[Polytope]) -> Iterator[tuple[Polytope, ...]]:
    """The polytopes over one region, those of a clause at a time."""
    part: list[Polytope] = []
    rows = 0
    for polytope in polytopes:
        more = rows + polytope.b.numel()
        if part and (len(part) + 1) * more > CLAUSE_SIZE:
            yield tuple(part)
            part, more = [], polytope.b.numel()
        part.append(polytope)
        rows = more
    if part:
        yield tuple(part)


def _check_counts(prop: ParsedProperty, graph: Graph, layout: Layout) -> None:
    for what, declared, found, specs in (
        ("inputs X", prop.inputs, graph.input_size, layout.inputs),
        ("outputs Y", prop.outputs, graph.output_size, layout.outputs),
    ):
        if declared != found:
            shapes = ", ".join(f"{s.name} {list(s.shape)}" for s in specs)
            raise prop.error(f"the property declares {declared} {what}, the model has {found} ({shapes})")


def _read(prop: ParsedProperty, terms: Terms, whole: Container[int]) -> tuple[Cases, list[Cases]]:
    """What holds in every disjunct, and the disjunctions."""
    facts: list[Compare] = []
    unions = []
    for expr, number in conjuncts(without_unequal(prop.assertions)):
        offset = prop.offsets[number]
        if isinstance(expr, Compare):
            facts.append(expr)
            continue
        try:
            unions.append(read_cases(prop, disjuncts(expr), offset, terms, whole))
        except TooManyDisjuncts:
            message = (
                f"this assertion multiplies out to too many disjuncts; at most {MAX_DISJUNCTS:,} are read"
            )
            raise prop.error(message, offset) from None
    return read_cases(prop, [tuple(facts)], 0, terms, whole), unions


@dataclass(frozen=True, slots=True, eq=False)
class _Regions:
    """Distinct regions and, for each, the rows over outputs that come with it: one entry per disjunct."""

    regions: list[Region]
    heads: list[list[Rows]]


def _regions(
    prop: ParsedProperty,
    facts: Cases,
    unions: list[Cases],
    types: Mapping[int, str],
    contradictions: Contradictions,
    terms: Sequence[NewTerm],
) -> _Regions:
    """The regions of the disjuncts: the facts' bounds, cut by one case of every disjunction, and to the types
    of inputs that hold whole numbers. A sum of squares that is bounded makes a ball of a region; it stays a
    row of its polytopes too."""
    count, n = prod(map(len, unions)), prop.inputs
    check_size(prop, count, n)
    lower, upper = np.full((count, n), -np.inf), np.full((count, n), np.inf)
    possible = np.ones(count, dtype=bool)
    choices = np.indices(tuple(map(len, unions))).reshape(len(unions), count)
    for cases, chosen in zip([facts, *unions], [np.zeros(count, dtype=np.int64), *choices], strict=True):
        box = cases.box[chosen]
        bounded = box >= 0
        lower[bounded] = np.maximum(lower[bounded], cases.lower[box[bounded]])
        upper[bounded] = np.minimum(upper[bounded], cases.upper[box[bounded]])
        possible &= cases.possible[chosen]
    for k in np.flatnonzero(np.isinf(lower).any(axis=1) | np.isinf(upper).any(axis=1)).tolist():
        derive_bounds(lower[k], upper[k], facts.inputs[0] + _pick(unions, choices, k, "inputs"))
    _bound_by_type(prop, lower, upper)
    _check_bounds(prop, lower, upper, possible, unions, choices)
    keep_to_types(types, lower, upper)
    kept = _without_vacuous(prop, lower, upper, possible, facts, unions, choices, types, contradictions)

    groups: dict[object, int] = {}
    first: list[int] = []
    linear: list[Rows] = []
    round_: list[Rows] = []
    heads: list[list[Rows]] = []
    for k in kept.tolist():
        rows = facts.inputs[0] + _pick(unions, choices, k, "inputs")
        squares = round_rows(facts.outputs[0] + _pick(unions, choices, k, "outputs"), terms) if terms else ()
        key = (lower[k].tobytes(), upper[k].tobytes(), rows, squares)
        group = groups.setdefault(key, len(first))
        if group == len(first):
            first.append(k)
            linear.append(rows)
            round_.append(squares)
            heads.append([])
        heads[group].append(rows + _pick(unions, choices, k, "outputs"))
    low, high = torch.from_numpy(lower[first]).unbind(), torch.from_numpy(upper[first]).unbind()
    column = {Variable("X", k): k for k in range(n)} if any(linear) else {}
    cuts = iter(_polytopes(prop, [rows for rows in linear if rows], column))
    regions: list[Region] = []
    for a, b, rows, squares in zip(low, high, linear, round_, strict=True):
        ball = ball_of(squares, terms, a, b) if not rows else None
        regions.append(ball or Box(a, b, next(cuts) if rows else None))
    parts = list(split_whole(types, regions))
    return _Regions([part for _, part in parts], [heads[number] for number, _ in parts])


def _pick(unions: list[Cases], choices: np.ndarray, k: int, which: str) -> Rows:
    if len(unions) == 1:  # the common case, and the one with many disjuncts
        rows: Rows = getattr(unions[0], which)[choices[0, k]]
        return rows
    return tuple(
        chain.from_iterable(getattr(u, which)[c] for u, c in zip(unions, choices[:, k], strict=True))
    )


def _where(prop: ParsedProperty, unions: list[Cases], choices: np.ndarray, k: int) -> str:
    """Which disjunct number k is, in words; nothing if it is the only one."""
    parts = [
        f"disjunct {chosen + 1} of {len(cases)} in line {prop.line(cases.offset)}"
        for cases, chosen in zip(unions, choices[:, k].tolist(), strict=True)
    ]
    return f" in {' and '.join(parts)}" if parts else ""


def _bound_by_type(prop: ParsedProperty, lower: np.ndarray, upper: np.ndarray) -> None:
    """Replace the infinite bounds (disjuncts, n) that are left in place by the range of the declared type."""
    missing = np.flatnonzero((np.isinf(lower) | np.isinf(upper)).any(axis=0))
    if not missing.size or not prop.networks:
        return
    types = prop.input_types()
    known = [k for k in missing.tolist() if types[k] in RANGES]
    for k in known:
        least, most = RANGES[types[k]]
        lower[:, k] = np.where(np.isneginf(lower[:, k]), least, lower[:, k])
        upper[:, k] = np.where(np.isposinf(upper[:, k]), most, upper[:, k])
    if known:
        name, kind = prop.name(Variable("X", known[0])), types[known[0]]
        more = f" and {len(known) - 1} more" if len(known) > 1 else ""
        logger.warning("%s: %s%s: no bound; taken to be any finite %s", prop.source, name, more, kind)


def _check_bounds(
    prop: ParsedProperty,
    lower: np.ndarray,
    upper: np.ndarray,
    possible: np.ndarray,
    unions: list[Cases],
    choices: np.ndarray,
) -> None:
    for which, ends, sign in (("lower", lower, ">="), ("upper", upper, "<=")):
        missing = np.isinf(ends).any(axis=1) & possible
        if missing.any():
            k = int(missing.argmax())
            name = prop.name(Variable("X", int(np.isinf(ends[k]).argmax())))
            where = _where(prop, unions, choices, k)
            raise prop.error(f"{name} has no finite {which} bound{where}; add (assert ({sign} {name} …))")


def _without_vacuous(
    prop: ParsedProperty,
    lower: np.ndarray,
    upper: np.ndarray,
    possible: np.ndarray,
    facts: Cases,
    unions: list[Cases],
    choices: np.ndarray,
    types: Mapping[int, str],
    contradictions: Contradictions,
) -> np.ndarray:
    """The numbers of the disjuncts that some point satisfies, as far as is known; one warning for all
    others."""
    crossed = np.any(lower > upper, axis=1)
    empty = crossed | ~possible
    for k in np.flatnonzero(~empty & _doubtful(lower, upper, facts, unions, choices)).tolist():
        if not contradictions.left:
            break
        parts = [(facts, 0), *zip(unions, choices[:, k].tolist(), strict=True)]
        empty[k] = contradictions.of_disjunct(parts, lower[k], upper[k])
    vacuous = np.flatnonzero(empty)
    if vacuous.size:
        k = int(vacuous[0])
        column = int((lower[k] > upper[k]).argmax())
        name = prop.name(Variable("X", column))
        why = "comparisons contradict each other"
        if crossed[k]:
            why = f"{name} has a lower bound above its upper bound"
            why = f"no {types[column]} lies between the bounds of {name}" if column in types else why
        elif not possible[k]:
            why = "a comparison is never true"
        logger.warning(
            "%s: %s%s; %d of %d disjuncts are vacuous and dropped",
            prop.source or "property",
            why,
            _where(prop, unions, choices, k),
            vacuous.size,
            len(lower),
        )
    return np.flatnonzero(~empty)


def _doubtful(
    lower: np.ndarray, upper: np.ndarray, facts: Cases, unions: list[Cases], choices: np.ndarray
) -> np.ndarray:
    """Disjuncts (disjuncts,) whose comparisons may contradict each other though no bounds are crossed: they
    have several rows, or one over inputs, or an interval without a float inside."""
    rows = np.zeros(len(lower), dtype=np.int64)
    for cases, chosen in zip([facts, *unions], [np.zeros(len(lower), dtype=np.int64), *choices], strict=True):
        own = cases.said.count_rows(len(cases)) + np.fromiter(map(bool, cases.inputs), bool, len(cases))
        rows += own[chosen]
    ends = zip(lower, upper, strict=True)
    close = np.fromiter(((high <= np.nextafter(low, np.inf)).any() for low, high in ends), bool, len(lower))
    found: np.ndarray = (rows > 1) | close
    return found


def _indices(kind: str, groups: Iterable[Rows]) -> set[int]:
    return {v.index for rows in groups for row in rows for v in row.variables if v.kind == kind}


def _polytopes(prop: ParsedProperty, groups: list[Rows], column: dict[Variable, int]) -> list[Polytope]:
    """One polytope per group of rows: views into one big matrix."""
    rows = list(chain.from_iterable(groups))
    check_size(prop, len(rows), len(column))
    counts = np.fromiter((len(row.variables) for row in rows), np.int64, len(rows))
    columns = [column[v] for row in rows for v in row.variables]
    A = np.zeros((len(rows), len(column)))
    A[np.repeat(np.arange(len(rows)), counts), columns] = [c for row in rows for c in row.coefficients]
    b = torch.tensor([row.bound for row in rows], dtype=torch.float64)
    strict = torch.tensor([row.strict for row in rows], dtype=torch.bool)
    sizes = [len(group) for group in groups]
    parts = (torch.split(t, sizes) if sizes else () for t in (torch.from_numpy(A), b, strict))
    return [Polytope(*part) for part in zip(*parts, strict=True)]
