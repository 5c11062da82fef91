# SPDX-License-Identifier: Apache-2.0
"""The backend: one program per clause, one minimisation per unsafe polytope."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from vnnverify_bound_propagation.bounds import preactivation_bounds

from vnnverify import Clause, ClauseBackend, Context, Outcome, Query, Support, option
from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify_milp.encoding import check, encode
from vnnverify_milp.solve import minimise

__all__ = ["Milp", "MilpOptions"]


@dataclass(frozen=True, slots=True)
class MilpOptions:
    """Options of `milp`."""

    max_elements: int = option(20000, help="most elements of nonlinear layers that are encoded", minimum=1)


class Milp(ClauseBackend[MilpOptions]):
    """Exact up to a stated tolerance: what the solver cannot separate from zero stays undecided."""

    def supports(self, query: Query) -> Support:
        try:
            check(interval.domain.prepare(query.graph))
        except UnsupportedOperator as error:
            return Support.no(str(error))
        count = sum(n.output.size for n in query.graph.nodes if n.op.kind != "Linear")
        if count > self.options.max_elements:
            return Support.no(f"{count} nonlinear elements; max_elements={self.options.max_elements}")
        return Support.yes()

    def decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
        graph = interval.domain.prepare(query.graph).to("cpu", torch.float64)
        bounds = preactivation_bounds(
            graph, clause.region.lower, clause.region.upper, ctx.deadline.share(0.5)
        )
        program, inputs, outputs = encode(graph, bounds)
        witness: list[torch.Tensor] = []

        def candidate(x: np.ndarray) -> bool:
            point = torch.from_numpy(np.array(x, dtype=np.float64))
            point = torch.minimum(torch.maximum(point, clause.region.lower), clause.region.upper)
            if bool(clause.violated_by(point[None], graph(point[None]))) and ctx.confirm(point):
                witness.append(point)
            return bool(witness)

        stats: dict[str, Any] = {"binaries": sum(program.integer), "nodes": 0}
        open_ = []
        least = float("inf")
        for polytope in clause.unsafe:
            if ctx.deadline.expired or polytope.b.numel() == 0:
                if polytope.b.numel() == 0 and candidate(clause.region.lower.numpy()):
                    return Outcome.sat(witness[0], **stats)
                open_.append(polytope)
                continue
            threads = torch.get_num_threads()
            answer = minimise(
                program, inputs, outputs, polytope, clause.region.linear, ctx.deadline, threads, candidate
            )
            stats["nodes"] += answer.nodes
            if witness:
                return Outcome.sat(witness[0], **stats)
            if not answer.excluded:
                open_.append(polytope)
                least = min(least, answer.bound)
        if not open_:
            return Outcome.unsat(**stats)
        residual = query.with_clauses([dataclasses.replace(clause, unsafe=tuple(open_))])
        reason = f"{len(open_)} of {len(clause.unsafe)} unsafe polytopes open, dual bound {least:.3g}"
        return Outcome.unknown(reason, residual, **stats)
