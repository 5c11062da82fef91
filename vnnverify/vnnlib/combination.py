# SPDX-License-Identifier: Apache-2.0
"""Which disjunctions of a property are multiplied out, and what they come to.

Where the product would be large, all but the longest become one row each: the least, over their disjuncts, of
the largest row is at most zero. The graph computes it, by ReLUs, and so a search branches over disjuncts as
over anything else, where that promises something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from vnnverify.vnnlib.cases import Cases, Rows, as_one_case
from vnnverify.vnnlib.disjuncts import MULTIPLIED, SHORT
from vnnverify.vnnlib.extents import Extents, narrowed
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.terms import Terms

__all__ = ["MULTIPLIED_REGIONS", "Combination"]

MULTIPLIED_REGIONS = 4096
"""Most regions that several disjunctions about inputs are multiplied out to."""


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """One choice of cases over outputs."""

    rows: Rows
    choice: tuple[tuple[Cases, int], ...]  # a case of each disjunction


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """The disjuncts of a property: a case of each of `regions`, and one of `tails`."""

    regions: list[Cases]  # disjunctions that say where inputs may range
    tails: list[Tail]  # the others, multiplied out; choices whose rows contradict each other left out

    @classmethod
    def of(cls, prop: ParsedProperty, facts: Cases, unions: Sequence[Cases], terms: Terms) -> Combination:
        """From what holds in every disjunct, and the disjunctions."""
        regions = [cases for cases in unions if cases.about_inputs]
        others = [cases for cases in unions if not cases.about_inputs]
        if prod(map(len, regions)) > MULTIPLIED_REGIONS:
            fewer = _longest_apart(prop, [(cases, range(len(cases))) for cases in regions], terms)
            regions = [cases for cases in fewer if cases.about_inputs]
            others += [cases for cases in fewer if not cases.about_inputs]
        known = narrowed({}, facts.outputs[0])
        if known is None:
            return cls(regions, [])
        tails = _multiplied(others, known)
        if tails is None:
            kept = [(cases, _possible(cases, known)) for cases in others]
            if not all(some for _, some in kept):
                return cls(regions, [])
            tails = _multiplied(_longest_apart(prop, kept, terms), known, limited=False)
        assert tails is not None
        return cls(regions, tails)


def _longest_apart(
    prop: ParsedProperty, unions: Sequence[tuple[Cases, Sequence[int]]], terms: Terms
) -> list[Cases]:
    """The disjunction with most cases as it is, if these are more than `SHORT`, every other as one case: the
    union of some of its cases."""
    longest, most = max(unions, key=lambda pair: len(pair[1]))
    return [
        cases
        if (cases is longest and len(most) > SHORT) or len(cases) < 2
        else as_one_case(prop, cases, kept, terms)
        for cases, kept in unions
    ]


def _possible(cases: Cases, known: Extents) -> list[int]:
    """The cases that do not contradict what is known."""
    return [k for k, rows in enumerate(cases.outputs) if narrowed(known, rows) is not None]


def _multiplied(unions: Sequence[Cases], known: Extents, *, limited: bool = True) -> list[Tail] | None:
    """Every choice of one case of each, but for choices whose rows contradict each other or what is known;
    None if they become more than `MULTIPLIED` on the way, where there are several to choose from."""
    several = sum(len(cases) > 1 for cases in unions) > 1
    found: list[tuple[Tail, Extents]] = [(Tail((), ()), known)]
    for cases in unions:
        longer = []
        for tail, extents in found:
            for k, own in enumerate(cases.outputs):
                alone = not several and not extents and len(own) < 2  # nothing there that it could contradict
                both = extents if alone else narrowed(extents, own)
                if both is not None:
                    longer.append((Tail(tail.rows + own, (*tail.choice, (cases, k))), both))
            if limited and several and len(longer) > max(MULTIPLIED, len(cases)):
                return None
        found = longer
    return [tail for tail, _ in found]
