# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from torch import Tensor
from vnnverify_abstract_domains.propagation import propagate
from vnnverify_abstract_domains.rules import domain
from vnnverify_abstract_domains.zonotope import Zonotope

from vnnverify import Deadline
from vnnverify.ir import Graph
from vnnverify.testing import check_domain

BUDGET = 64 << 20


def outputs(graph: Graph, lower: Tensor, upper: Tensor) -> Zonotope:
    """The outputs over one box (n,) or several (B, n)."""
    lower, upper = (end.reshape(-1, end.shape[-1]) for end in (lower, upper))
    return propagate(domain.prepare(graph), lower, upper, BUDGET, Deadline.never()).value


def bounds(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    found = outputs(graph, lower, upper)
    return found.lower[0], found.upper[0]


def alone(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """What centre, generators and errors say, without the intervals."""
    z = outputs(graph, lower, upper)
    found = Zonotope.of(z.centre, z.generators, z.error)
    return found.lower[0], found.upper[0]


@pytest.mark.parametrize("what", [bounds, alone])
def test_bounds_enclose_every_operator(what):
    records = check_domain(what, name="zonotope", narrowing=False)
    assert not [r for r in records if r.status != "passed"]
