# SPDX-License-Identifier: Apache-2.0
"""Exact rational truth about tiny ReLU networks, by enumeration of activation patterns.

In each pattern the network is affine, so a query becomes a system of linear inequalities in the
inputs, some of them strict. Fourier–Motzkin elimination decides it without rounding. Costs grow
doubly exponentially: meant for up to three inputs and eight ReLUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from vnnverify.query import Clause, Polytope, Region
from vnnverify.testing.network import Network

__all__ = ["Inequality", "greatest", "reachable", "slack", "solution", "supremum"]

Point = tuple[Fraction, ...]
Vector = tuple[Fraction, ...]
ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True, slots=True)
class Inequality:
    """a·x <= b, or a·x < b if strict."""

    a: Vector
    b: Fraction
    strict: bool = False

    def scaled(self) -> Inequality:
        """The same half-space with the first non-zero coefficient ±1."""
        lead = next((abs(c) for c in self.a if c), ONE)
        return Inequality(tuple(c / lead for c in self.a), self.b / lead, self.strict)


def _reduced(rows: Iterable[Inequality]) -> list[Inequality] | None:
    """The tightest row per direction; None if a row without variables is false."""
    tightest: dict[Vector, Inequality] = {}
    for row in map(Inequality.scaled, rows):
        if not any(row.a):
            if row.b < 0 or (row.strict and row.b == 0):
                return None
            continue
        known = tightest.get(row.a)
        if known is None or (row.b, not row.strict) < (known.b, not known.strict):
            tightest[row.a] = row
    return list(tightest.values())


def _eliminated(rows: list[Inequality], k: int) -> list[Inequality] | None:
    """Rows without variable k that hold for some value of it; None if there are none to satisfy.

    Source: Fourier–Motzkin elimination; Schrijver, Theory of Linear and Integer Programming, section 12.2.
    """
    below = [row for row in rows if row.a[k] < 0]
    above = [row for row in rows if row.a[k] > 0]
    kept = [row for row in rows if row.a[k] == 0]
    for low in below:
        for high in above:
            p, q = high.a[k], -low.a[k]
            a = tuple(p * c + q * d for c, d in zip(low.a, high.a, strict=True))
            kept.append(Inequality(a, p * low.b + q * high.b, low.strict or high.strict))
    return _reduced(kept)


def _range(rows: Iterable[Inequality], k: int) -> tuple[Fraction | None, Fraction | None]:
    """Ends of x_k where it is the only variable left; None where unbounded."""
    lower = [row.b / row.a[k] for row in rows if row.a[k] < 0]
    upper = [row.b / row.a[k] for row in rows if row.a[k] > 0]
    return max(lower, default=None), min(upper, default=None)


def solution(rows: Sequence[Inequality], variables: int) -> Point | None:
    """A point that satisfies all rows, as far inside as one variable after the other allows, or None."""
    systems = [_reduced(rows)]
    for k in range(variables):
        if systems[-1] is None:
            return None
        systems.append(_eliminated(systems[-1], k))
    if systems[-1] is None:
        return None
    values = [ZERO] * variables
    for k in reversed(range(variables)):
        open_rows = [
            Inequality(
                tuple(c if i == k else ZERO for i, c in enumerate(row.a)),
                row.b
                - sum((c * v for i, (c, v) in enumerate(zip(row.a, values, strict=True)) if i > k), ZERO),
                row.strict,
            )
            for row in systems[k] or ()
        ]
        low, high = _range([row for row in open_rows if row.a[k]], k)
        if low is not None and high is not None:
            values[k] = (low + high) / 2
        elif low is not None:
            values[k] = low + 1
        else:
            values[k] = ZERO if high is None else high - 1
    return tuple(values)


def greatest(rows: Sequence[Inequality], variables: int, k: int) -> Fraction | None:
    """The supremum of x_k over all points that satisfy the rows; None if there are none.

    Raises:
        ValueError: x_k is not bounded above.
    """
    system = _reduced(rows)
    for index in range(variables):
        if system is not None and index != k:
            system = _eliminated(system, index)
    if system is None:
        return None
    low, high = _range(system, k)
    strict = any(row.strict for row in system)
    if low is not None and high is not None and (low > high or (low == high and strict)):
        return None
    if high is None:
        raise ValueError(f"variable {k} is not bounded above")
    return high


@dataclass(frozen=True, slots=True)
class _Cell:
    """Inputs on which the network is affine: `rows` describe them, `outputs` are (a, b) of a·x + b."""

    rows: tuple[Inequality, ...]
    outputs: tuple[tuple[Vector, Fraction], ...]


@lru_cache(maxsize=8)  # several questions in turn are asked about the same cells
def _cells(network: Network, rows: tuple[Inequality, ...]) -> tuple[_Cell, ...]:
    """All non-empty cells of the network in the set that `rows` describe."""
    n = network.inputs
    start = tuple((tuple(ONE if i == k else ZERO for i in range(n)), ZERO) for k in range(n))
    return tuple(_through(network, 0, start, rows))


def _through(
    network: Network, depth: int, values: tuple[tuple[Vector, Fraction], ...], rows: tuple[Inequality, ...]
) -> Iterator[_Cell]:
    if depth:
        for cell in _relus(values, rows):
            yield from _affine(network, depth, cell.outputs, cell.rows)
    else:
        yield from _affine(network, depth, values, rows)


def _affine(
    network: Network, depth: int, values: tuple[tuple[Vector, Fraction], ...], rows: tuple[Inequality, ...]
) -> Iterator[_Cell]:
    weight, bias = network.layers[depth]
    n = network.inputs
    result = tuple(
        (
            tuple(sum((w * v[0][i] for w, v in zip(line, values, strict=True)), ZERO) for i in range(n)),
            sum((w * v[1] for w, v in zip(line, values, strict=True)), b),
        )
        for line, b in zip(weight, bias, strict=True)
    )
    if depth == len(network.layers) - 1:
        yield _Cell(rows, result)
    else:
        yield from _through(network, depth + 1, result, rows)


def _relus(values: tuple[tuple[Vector, Fraction], ...], rows: tuple[Inequality, ...]) -> Iterator[_Cell]:
    """Split by the sign of each value in turn; cells share their borders."""
    partial = [_Cell(rows, ())]
    for a, b in values:
        grown = []
        n = len(a)
        for cell in partial:
            on = (*cell.rows, Inequality(tuple(-c for c in a), b))
            off = (*cell.rows, Inequality(a, -b))
            if solution(on, n) is not None:
                grown.append(_Cell(on, (*cell.outputs, (a, b))))
            if solution(off, n) is not None:
                grown.append(_Cell(off, (*cell.outputs, ((ZERO,) * n, ZERO))))
        partial = grown
    yield from partial


def _rows(polytope: Polytope, outputs: Sequence[tuple[Vector, Fraction]]) -> list[Inequality]:
    """A z <= b as rows over x, where z_j = a_j·x + b_j."""
    n = len(outputs[0][0])
    found = []
    for line, bound, strict in zip(
        polytope.A.tolist(), polytope.b.tolist(), polytope.strict.tolist(), strict=True
    ):
        weights = [Fraction(w) for w in line]
        a = tuple(sum((w * z[0][i] for w, z in zip(weights, outputs, strict=True)), ZERO) for i in range(n))
        b = Fraction(bound) - sum((w * z[1] for w, z in zip(weights, outputs, strict=True)), ZERO)
        found.append(Inequality(a, b, strict))
    return found


def _region_rows(region: Region) -> tuple[Inequality, ...]:
    lower, upper = region.lower.tolist(), region.upper.tolist()
    n = len(lower)
    units = [tuple(ONE if i == k else ZERO for i in range(n)) for k in range(n)]
    rows = [Inequality(unit, Fraction(end)) for unit, end in zip(units, upper, strict=True)]
    rows += [
        Inequality(tuple(-c for c in unit), -Fraction(end)) for unit, end in zip(units, lower, strict=True)
    ]
    if region.linear is not None:
        rows += _rows(region.linear, [(unit, ZERO) for unit in units])
    return tuple(rows)


def reachable(network: Network, clauses: Iterable[Clause]) -> Point | None:
    """A rational x in some clause's region with an unsafe output, or None if there is none: the truth."""
    for clause in clauses:
        rows = _region_rows(clause.region)
        if solution(rows, network.inputs) is None:
            continue
        for cell in _cells(network, rows):
            for polytope in clause.unsafe:
                point = solution([*cell.rows, *_rows(polytope, cell.outputs)], network.inputs)
                if point is not None:
                    return point
    return None


def slack(network: Network, clauses: Iterable[Clause]) -> Fraction | None:
    """By how much the query is sat (positive) or unsat (negative): the supremum, over x in the regions
    and the unsafe polytopes, of the least b − A z of a polytope's rows, at most one. None if there is
    neither an x nor a polytope.
    """
    n = network.inputs
    best: Fraction | None = None
    for clause in clauses:
        region = _region_rows(clause.region)
        if solution(region, n) is None:
            continue
        for cell in _cells(network, region):
            for polytope in clause.unsafe:
                rows = [Inequality((*row.a, ZERO), row.b, row.strict) for row in cell.rows]
                rows += [Inequality((*row.a, ONE), row.b) for row in _rows(polytope, cell.outputs)]
                rows.append(Inequality((*(ZERO,) * n, ONE), ONE))
                found = greatest(rows, n + 1, n)
                if found is not None and (best is None or found > best):
                    best = found
    return best


def supremum(network: Network, region: Region) -> Fraction:
    """The greatest value of the network's only output over a region.

    Raises:
        ValueError: the region is empty.
    """
    n = network.inputs
    best: Fraction | None = None
    for cell in _cells(network, _region_rows(region)):
        ((a, b),) = cell.outputs
        rows = [Inequality((*row.a, ZERO), row.b, row.strict) for row in cell.rows]
        rows.append(Inequality((*(-c for c in a), ONE), b))
        found = greatest(rows, n + 1, n)
        if found is not None and (best is None or found > best):
            best = found
    if best is None:
        raise ValueError("the region is empty")
    return best
