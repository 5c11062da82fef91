# SPDX-License-Identifier: Apache-2.0
"""Tiny queries whose truth is known exactly. A backend must never contradict it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import torch

from vnnverify.query import Box, Clause, Polytope, Query, Region
from vnnverify.testing import exact
from vnnverify.testing.network import Network
from vnnverify.testing.source import query_of
from vnnverify.verdict import Verdict

__all__ = ["Specimen", "box", "halfspaces", "zoo"]

MARGIN = Fraction(1, 8)

Case = tuple[str, Network, tuple[Clause, ...], set[str]]
"""Name, network, clauses and tags of a specimen to be."""


@dataclass(frozen=True, eq=False)
class Specimen:
    """One query of the zoo.

    `truth` is SAT or UNSAT, over the real numbers. `slack` says by how much: positive if sat, negative
    if unsat, zero if *tight*, when an honest backend may well answer unknown; None if no clause has a
    point or an unsafe polytope. `point` is a rational witness.
    """

    name: str
    network: Network
    query: Query
    truth: Verdict
    slack: Fraction | None
    point: tuple[Fraction, ...] | None
    tags: frozenset[str]

    @property
    def tight(self) -> bool:
        """Whether there is no room on the side of the truth."""
        return self.slack == 0


def box(lower: Sequence[float], upper: Sequence[float], *rows: tuple[Sequence[float], float]) -> Region:
    """A region from its ends, cut by rows a·x <= b."""
    linear = halfspaces(*rows) if rows else None
    low, high = (torch.tensor(end, dtype=torch.float64) for end in (lower, upper))
    return Box(low, high, linear)


def halfspaces(*rows: tuple[Sequence[float], float], strict: bool = False) -> Polytope:
    """{z : a·z <= b for all rows (a, b)}, every row strict or none."""
    A = torch.tensor([list(a) for a, _ in rows], dtype=torch.float64)
    b = torch.tensor([b for _, b in rows], dtype=torch.float64)
    return Polytope.of(A, b, torch.full_like(b, strict, dtype=torch.bool))


IDENTITY = Network.of(([[1.0]], [0.0]))
ABSOLUTE = Network.of(([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0]))
MAXIMUM = Network.of(([[1.0, -1.0], [0.0, 1.0], [0.0, -1.0]], [0.0, 0.0, 0.0]), ([[1.0, 1.0, -1.0]], [0.0]))
HAT = Network.of(([[1.0], [1.0], [1.0]], [0.0, -0.5, -1.0]), ([[2.0, -4.0, 2.0]], [0.0]))
"""Zero outside [0, 1], one at 1/2."""
SAW = Network.of(
    ([[1.0], [1.0]], [0.0, -0.5]),
    ([[2.0, -4.0], [2.0, -4.0]], [0.0, -0.5]),
    ([[2.0, -4.0]], [0.0]),
)
"""Two teeth on [0, 1]."""
NEEDLE = Network.of(([[64.0], [64.0], [64.0]], [-16.0, -17.0, -18.0]), ([[1.0, -2.0, 1.0]], [0.0]))
"""One at 17/64, zero further than 1/64 away."""
PAIR = Network.of(
    ([[1.0, 1.0], [1.0, -1.0]], [0.0, 0.0]), ([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]], [0.0, 0.0, 0.5])
)
FUNCTIONS: dict[str, Network] = {
    "identity": IDENTITY,
    "absolute": ABSOLUTE,
    "maximum": MAXIMUM,
    "hat": HAT,
    "saw": SAW,
    "needle": NEEDLE,
    "one_input": Network.random((1, 4, 1), seed=1),
    "two_layers": Network.random((1, 3, 3, 1), seed=2),
    "two_inputs": Network.random((2, 4, 1), seed=3),
    "deep": Network.random((2, 3, 2, 2, 1), seed=7),
    "three_inputs": Network.random((3, 4, 1), seed=5),
}  # fmt: skip


def _unit(inputs: int = 1) -> Region:
    return box([-1.0] * inputs, [1.0] * inputs)


def _above(level: float, *, strict: bool = False) -> Polytope:
    return halfspaces(([-1.0], -level), strict=strict)


def _below(level: float) -> Polytope:
    return halfspaces(([1.0], level))


def _between(low: float, high: float) -> Polytope:
    return halfspaces(([-1.0], -low), ([1.0], high))


def _extremes() -> Iterator[Case]:
    """Is a level an eighth below the greatest value over [−1, 1]ⁿ reached, or above, or just there?"""
    for name, network in FUNCTIONS.items():
        region = _unit(network.inputs)
        top = exact.supremum(network, region)
        level = Fraction(round(top * 64), 64)
        cases = [("below", level - MARGIN, False), ("above", level + MARGIN, False)]
        if level == top:
            cases += [("at", level, False), ("strictly", level, True)]
        for kind, bound, strict in cases:
            unsafe = _above(float(bound), strict=strict)
            yield f"{name}_{kind}", network, (Clause(region, (unsafe,)),), {"single"}


def _regions() -> Iterator[Case]:
    """Nothing to be reached or nowhere to look; points and lines."""
    everything, high = Polytope.of(torch.zeros(0, 1), torch.zeros(0)), _above(0.75)
    yield "no_clauses", ABSOLUTE, (), {"vacuous"}
    yield "no_polytopes", ABSOLUTE, (Clause(_unit(), ()),), {"vacuous"}
    yield "polytope_without_rows", ABSOLUTE, (Clause(_unit(), (everything,)),), {"vacuous"}
    yield "empty_box", ABSOLUTE, (Clause(box([1.0], [-1.0]), (high,)),), {"vacuous", "empty"}
    yield "point_sat", ABSOLUTE, (Clause(box([-0.875], [-0.875]), (high,)),), {"point"}
    yield "point_unsat", ABSOLUTE, (Clause(box([-0.5], [-0.5]), (high,)),), {"point"}
    yield "line_sat", MAXIMUM, (Clause(box([-1.0, 0.5], [1.0, 0.5]), (high,)),), {"point"}
    yield "line_unsat", MAXIMUM, (Clause(box([-1.0, 0.5], [0.5, 0.5]), (high,)),), {"point"}


def _polytopes() -> Iterator[Case]:
    """One clause with several rows, or with several polytopes."""
    low, high, beyond = _below(-0.25), _above(0.75), _above(1.25)
    band, contradiction = _between(0.25, 0.5), _between(0.75, 0.25)
    unit = _unit()
    yield "band_sat", ABSOLUTE, (Clause(unit, (band,)),), {"several rows"}
    yield "band_unsat", ABSOLUTE, (Clause(box([0.625], [1.0]), (band,)),), {"several rows"}
    yield "contradictory_rows", ABSOLUTE, (Clause(unit, (contradiction,)),), {"several rows"}
    yield "polytopes_sat", ABSOLUTE, (Clause(unit, (low, beyond, high)),), {"several polytopes"}
    yield "polytopes_unsat", ABSOLUTE, (Clause(unit, (low, beyond)),), {"several polytopes"}
    yield "unreachable_disjunct", HAT, (Clause(unit, (contradiction, beyond, high)),), {"several polytopes"}


def _clauses() -> Iterator[Case]:
    """Several clauses: apart, overlapping, and twenty."""
    low, high, beyond = _below(-0.25), _above(0.75), _above(1.25)
    left, right, end = box([-1.0], [-0.5]), box([0.5], [1.0]), box([0.875], [1.0])
    first, second = Clause(left, (_between(0.25, 0.5), beyond)), Clause(right, (high,))
    yield "clauses_sat", ABSOLUTE, (Clause(left, (beyond,)), second), {"several clauses"}
    yield "clauses_unsat", HAT, (Clause(left, (high,)), Clause(end, (high,))), {"several clauses"}
    yield "clauses_first_sat", ABSOLUTE, (first, second), {"several clauses"}
    yield "clauses_overlap", ABSOLUTE, (Clause(_unit(), (beyond,)), Clause(left, (low,))), {"several clauses"}
    many = tuple(Clause(box([k / 16], [(k + 1) / 16]), (_above(1.0),)) for k in range(-16, 4))
    yield "many_clauses_unsat", HAT, many, {"several clauses"}
    yield "many_clauses_sat", NEEDLE, (*many, Clause(box([0.25], [0.3125]), (high,))), {"several clauses"}


def _edges() -> Iterator[Case]:
    """Strict rows, and rows that touch."""
    unit, point = _unit(), box([0.75], [0.75])
    yield "strict_sat", ABSOLUTE, (Clause(unit, (_above(0.75, strict=True),)),), {"strict"}
    yield "strict_unsat", ABSOLUTE, (Clause(unit, (_above(1.125, strict=True),)),), {"strict"}
    yield "strict_point", ABSOLUTE, (Clause(point, (_above(0.75, strict=True),)),), {"strict"}
    yield "nonstrict_point", ABSOLUTE, (Clause(point, (_above(0.75),)),), {"point"}
    yield "touching_rows", IDENTITY, (Clause(unit, (_between(0.25, 0.25),)),), {"several rows"}


def _linear_regions() -> Iterator[Case]:
    """Boxes cut by rows."""
    ends = [-1.0, -1.0], [1.0, 1.0]
    cut, none = box(*ends, ([1.0, 1.0], -1.0)), box(*ends, ([1.0, 1.0], -3.0))
    wedge = box(*ends, ([1.0, -1.0], -0.5), ([-1.0, -1.0], -0.5))
    yield "linear_sat", MAXIMUM, (Clause(cut, (_above(-0.25),)),), {"linear"}
    yield "linear_unsat", MAXIMUM, (Clause(cut, (_above(0.5),)),), {"linear"}
    yield "linear_empty", MAXIMUM, (Clause(none, (_above(-9.0),)),), {"linear", "empty"}
    yield "linear_wedge", MAXIMUM, (Clause(wedge, (_below(0.375),)),), {"linear"}


def _outputs() -> Iterator[Case]:
    """Rows over several outputs, and labels that are kept or lost."""
    square = _unit(2)
    several = halfspaces(([-1.0, 0.0, 0.0], -1.0), ([0.0, -1.0, 0.0], -1.0))
    apart = halfspaces(([-1.0, 0.0, 0.0], -1.25), ([0.0, -1.0, 0.0], -1.25))
    order = halfspaces(([-1.0, 1.0, 0.0], 0.25), ([0.0, 1.0, -1.0], 0.0))
    ahead = tuple(halfspaces(([float(k == 0) - float(k == j) for k in range(3)], 0.0)) for j in (1, 2))
    yield "outputs_tight", PAIR, (Clause(square, (several,)),), {"several outputs"}
    yield "outputs_unsat", PAIR, (Clause(square, (apart,)),), {"several outputs"}
    yield "outputs_sat", PAIR, (Clause(square, (order,)),), {"several outputs"}
    yield "label_kept", PAIR, (Clause(box([1.0, 0.25], [1.25, 0.375]), ahead),), {"labels"}
    yield "label_lost", PAIR, (Clause(square, ahead),), {"labels", "several polytopes"}


def _scales() -> Iterator[Case]:
    """Boxes far larger and far smaller than the others."""
    huge, tiny = box([-4096.0], [8192.0]), box([-(2.0**-20)], [2.0**-20])
    yield "huge_box", ABSOLUTE, (Clause(huge, (_above(8193.0),)),), {"scale"}
    yield "tiny_box", ABSOLUTE, (Clause(tiny, (_above(2.0**-19),)),), {"scale"}


TOPICS = (_extremes, _regions, _polytopes, _clauses, _edges, _linear_regions, _outputs, _scales)


@cache
def zoo() -> tuple[Specimen, ...]:
    """All specimens, each with its truth computed exactly; made once per process."""
    found = [_specimen(*case) for topic in TOPICS for case in topic()]
    clauses = (Clause(_unit(2), (_above(0.75),)),)
    found.append(_specimen("inputs_apart", MAXIMUM, clauses, {"several inputs"}, apart=True))
    return tuple(found)


def _specimen(
    name: str, network: Network, clauses: tuple[Clause, ...], tags: set[str], *, apart: bool = False
) -> Specimen:
    point = exact.reachable(network, clauses)
    slack = exact.slack(network, clauses)
    marks = tags | {"tight"} if slack == 0 else tags
    query = query_of(network.to_onnx(apart=apart), clauses)
    truth = Verdict.UNSAT if point is None else Verdict.SAT
    return Specimen(name, network, query, truth, slack, point, frozenset(marks))
