# SPDX-License-Identifier: Apache-2.0
"""Proves with intervals, refutes with random points."""

from dataclasses import dataclass

from vnnverify import Clause, ClauseBackend, Context, Guarantee, Outcome, Query, Support, option
from vnnverify.domains import interval


@dataclass(frozen=True, slots=True)
class DiceOptions:
    samples: int = option(4096, help="random inputs tried per clause", minimum=1)


class Dice(ClauseBackend[DiceOptions]):
    """Prove a clause with interval bounds; refute it with uniform samples."""

    guarantee = Guarantee.REAL

    def supports(self, query: Query) -> Support:
        return interval.supports(query.graph)

    def decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
        """Intervals to prove the clause, random points to refute it."""
        lower, upper = interval.bounds(query.graph, clause.region)  # (outputs,), (outputs,)
        if clause.region.empty or clause.excluded_by(lower, upper):
            return Outcome.unsat()
        x = clause.region.sample(self.options.samples, ctx.generator).cpu()  # (samples, n)
        hits = x[clause.violated_by(x, query.graph(x))]  # (hits, n): unsafe as torch computes it
        for point in hits[:10]:
            if ctx.confirm(point):  # … and as the model itself does
                return Outcome.sat(point)
        return Outcome.unknown("interval bounds are too wide")
