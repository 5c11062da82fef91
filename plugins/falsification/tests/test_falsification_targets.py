# SPDX-License-Identifier: Apache-2.0
"""The table of targets agrees with the polytopes it was made of."""

from __future__ import annotations

import pytest
import torch
from vnnverify_falsification.hunt import batch_size
from vnnverify_falsification.targets import Targets

from vnnverify import Box, Clause, Polytope

F64 = torch.float64


def random_clauses(generator, outputs, inputs, *, linear):
    clauses = []
    for count in (1, 3, 2):
        unsafe = []
        for _ in range(count):
            size = int(torch.randint(1, 4, (), generator=generator))
            A = torch.randn(size, outputs, generator=generator, dtype=F64)
            unsafe.append(Polytope.of(A, torch.randn(size, generator=generator, dtype=F64)))
        cut = None
        if linear and count > 1:
            A = torch.randn(count, inputs, generator=generator, dtype=F64)
            cut = Polytope.of(A, torch.randn(count, generator=generator, dtype=F64))
        clauses.append(
            Clause(Box(torch.zeros(inputs, dtype=F64), torch.ones(inputs, dtype=F64), cut), tuple(unsafe))
        )
    return clauses


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_values_are_negative_exactly_inside(seed, linear):
    generator = torch.Generator().manual_seed(seed)
    clauses = random_clauses(generator, 4, 3, linear=linear)
    targets = Targets.of(clauses, 3, torch.device("cpu"), F64)
    assert len(targets) == 6
    for index, clause in enumerate(clauses):
        x = torch.rand(500, 3, generator=generator, dtype=F64)
        y = 2 * torch.randn(500, 4, generator=generator, dtype=F64)
        values = targets.values(targets.products(x, y), torch.full((500,), index))
        inside = values[:, : len(clause.unsafe)] <= 0
        cut = clause.region.linear
        for column, polytope in enumerate(clause.unsafe):
            expected = polytope.contains(y)
            if cut is not None:
                expected &= cut.contains(x)
            assert torch.equal(inside[:, column], expected)
        assert torch.equal(inside.any(dim=1), clause.violated_by(x, y))


def test_margins_are_scaled_by_the_norm_of_the_row_and_padded_with_minus_infinity():
    clause = Clause(
        Box(torch.zeros(1, dtype=F64), torch.ones(1, dtype=F64)),
        (
            Polytope.of(torch.tensor([[3.0, 4.0]]), torch.tensor([10.0])),
            Polytope.of(torch.eye(2), torch.zeros(2)),
        ),
    )
    targets = Targets.of([clause], 1, torch.device("cpu"), F64)
    y = torch.tensor([[1.0, 3.0], [1.0, 3.0]], dtype=F64)
    margins = targets.margins(targets.products(y[:, :1], y), torch.tensor([0, 1]))
    assert margins[0].tolist() == pytest.approx([1.0, -torch.inf])
    assert margins[1].tolist() == pytest.approx([1.0, 3.0])


def test_equal_rows_are_stored_once():
    region = Box(torch.zeros(1, dtype=F64), torch.ones(1, dtype=F64))
    clauses = [
        Clause(region, (Polytope.of(torch.tensor([[sign]]), torch.tensor([float(k)])),))
        for k in range(50)
        for sign in (1.0, -2.0)
    ]
    targets = Targets.of(clauses, 1, torch.device("cpu"), F64)
    assert targets.rows.shape == (2, 1)
    assert len(targets) == 100


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_point_with_an_output_that_is_not_finite_hits_nothing(bad):
    unsafe = Polytope.of(torch.tensor([[1.0, 0.0]]), torch.tensor([5.0]))
    clause = Clause(Box(torch.zeros(1, dtype=F64), torch.ones(1, dtype=F64)), (unsafe,))
    targets = Targets.of([clause], 1, torch.device("cpu"), F64)
    y = torch.tensor([[bad, 0.0], [0.0, 0.0]], dtype=F64)
    values = targets.values(targets.products(y[:, :1], y), torch.zeros(2, dtype=torch.int64))
    assert values[:, 0].tolist() == [torch.inf, -5.0]


@pytest.mark.parametrize(
    ("sizes", "least", "most"), [((5, 50, 50, 5), 1024, 1024), ((3000, 3000, 3000, 10), 2, 16)]
)
def test_batches_shrink_as_networks_grow(kit, sizes, least, most):
    query = kit.query(kit.dense(*sizes), [])
    assert least <= batch_size(query.graph, 10, kit.context(query), 512) <= most


def test_batches_shrink_with_the_memory_allowed(kit):
    query = kit.query(kit.dense(500, 500, 10), [])
    sizes = [batch_size(query.graph, 10, kit.context(query), memory) for memory in (1, 4)]
    assert 0 < sizes[0] < sizes[1]
