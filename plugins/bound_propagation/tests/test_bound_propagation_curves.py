# SPDX-License-Identifier: Apache-2.0
"""Splits on the arguments of curves."""

from __future__ import annotations

import pytest
import torch
from curved_network import network
from torch import Tensor
from vnnverify_bound_propagation.backends.bound_propagation import BoundPropagation
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify import Deadline, Verdict
from vnnverify.bounds.propagation import Propagator
from vnnverify.ir import Elementwise
from vnnverify.ops.periodic import Sin
from vnnverify.ops.sigmoidal import Sigmoid
from vnnverify.query import Box, Clause, Layout, Polytope, Query, Replay
from vnnverify.testing import context


class NeverConfirms:
    """For questions about proofs alone."""

    def replay(self, x: Tensor) -> Replay:
        return Replay(False, "no model", (), ())


@pytest.mark.parametrize("op", [Sigmoid(), Sin()], ids=lambda op: op.kind)
def test_splits_of_curves_prove_what_lines_do_not(op: Elementwise) -> None:
    """A threshold between the largest sampled output and the root's bound is proved after splits; one that is
    reached stays open."""
    graph = network(op, seed=3)
    lower, upper = torch.full((4,), -0.5).double(), torch.full((4,), 0.5).double()
    t = torch.rand(20000, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    t = (4 * (t - 0.5)).clamp(-0.5, 0.5) + 0.5
    best = float(graph(lower + t * (upper - lower))[:, 0].max())
    least = torch.tensor([[-1.0, 0.0, 0.0]]).double()
    tool = Propagator(graph, None, torch.float64)
    state = tool.propagate(lower[None], upper[None], Deadline.never())
    zero, box = torch.zeros(1).double(), torch.zeros(1, dtype=torch.long)
    root = -float(tool.optimised_margins(state, least, zero, box, 20, Deadline.never()).lower)
    assert root > best
    outcomes, limit_of = [], {False: 120.0, True: 3.0}
    for limit in (best + 0.7 * (root - best), best - 1e-3):
        clause = Clause(Box(lower, upper), (Polytope.of(least, torch.tensor([-limit])),))
        query = Query(graph, (clause,), Layout((), ()), NeverConfirms())
        backend = BoundPropagation(Settings(split_inputs=0))
        outcomes.append(backend.verify(query, context(query, limit_of[limit < best])).verdict)
    assert outcomes[0] is Verdict.UNSAT and outcomes[1] is not Verdict.UNSAT
