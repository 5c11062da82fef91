# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from vnnverify.search.batch import BatchSize


@pytest.mark.parametrize(
    ("fixed", "each", "expected"),
    [(0.0, 0.01, 25), (0.05, 0.01, 20), (2.0, 0.001, 2000), (0.001, 1e-6, 4096), (0.0, 3.0, 1)],
    ids=["time", "time less fixed cost", "half of it fixed", "at most", "at least one"],
)
def test_settles_where_the_cost_asks_for_it(fixed: float, each: float, expected: int) -> None:
    batch = BatchSize(64, 4096, 0.25)
    for step in range(40):
        count = max(1, batch.size - step % 2 * batch.size // 4)
        batch.took(count, fixed + each * count)
    assert batch.size == pytest.approx(expected, rel=0.3, abs=1)


def test_few_sub_problems_at_first_do_not_make_batches_small() -> None:
    """Steps of growing size that all cost the same: nothing is gained by small ones."""
    batch = BatchSize(64, 4096, 0.25)
    waiting = 1
    for _ in range(12):
        count = min(waiting, batch.size)
        batch.took(count, 0.4)
        waiting = 2 * waiting
    assert batch.size > 1000
