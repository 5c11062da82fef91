# SPDX-License-Identifier: Apache-2.0
"""Parcels come out of their text as they went in, to the bit."""

from __future__ import annotations

import math

import torch

from vnnverify.query import Box, Clause, Polytope
from vnnverify.sharing import Parcel


def test_text_keeps_every_bit() -> None:
    third = torch.tensor([1 / 3, -math.inf, 5e-324], dtype=torch.float64)
    rows = Polytope.of(third[None], torch.tensor([0.1]), torch.tensor([True]))
    plain = Polytope.of(-third[None], torch.tensor([math.inf]))
    clauses = (Clause(Box(third, third + 1, rows), (plain, rows)), Clause(Box(third, third), (plain,)))
    columns = {
        "bound": torch.tensor([math.nan, 1e-45, -0.0], dtype=torch.float32),
        "excluded": torch.tensor([[True], [False], [True]]),
        "element": torch.zeros(3, 0, dtype=torch.int64),
    }
    text = Parcel(clauses, torch.tensor([1, 0, 1]), columns, (1, 0)).to_text()
    assert text.isascii() and "\n" not in text
    found = Parcel.from_text(text)
    assert found.stuck == (1, 0) and found.clause.tolist() == [1, 0, 1]
    assert set(found.columns) == set(columns)
    for name, column in columns.items():
        assert found.columns[name].dtype == column.dtype
        assert torch.equal(torch.nan_to_num(found.columns[name], 7.0), torch.nan_to_num(column, 7.0))
    assert math.copysign(1, found.columns["bound"][2]) == -1
    first, second = found.clauses
    assert torch.equal(first.region.lower, third) and torch.equal(first.region.upper, third + 1)
    assert first.region.linear is not None and torch.equal(first.region.linear.A, rows.A)
    assert [p.strict.tolist() for p in first.unsafe] == [[False], [True]]
    assert second.region.linear is None and math.isinf(float(second.unsafe[0].b))


def test_part_about_some_clauses_counts_them_anew() -> None:
    point = torch.zeros(1, dtype=torch.float64)
    clauses = tuple(Clause(Box(point, point + k), ()) for k in range(4))
    columns = {"x": torch.arange(5.0)}
    parcel = Parcel(clauses, torch.tensor([3, 0, 1, 3, 2]), columns, (1, 3))
    part = parcel.about((clauses[3], clauses[2]))
    assert len(parcel) == 5 and len(part) == 3
    assert part.clauses == (clauses[3], clauses[2]) and part.stuck == (0,)
    assert part.clause.tolist() == [0, 0, 1] and part.columns["x"].tolist() == [0.0, 3.0, 4.0]
    assert parcel.covers(clauses) and parcel.covers(()) and part.covers([clauses[2]])
    assert not part.covers(clauses) and not parcel.covers([Clause(Box(point, point), ())])
    nothing = parcel.about(())
    assert (len(nothing), nothing.stuck, nothing.columns["x"].shape) == (0, (), (0,))
