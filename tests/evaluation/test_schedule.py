# SPDX-License-Identifier: Apache-2.0
"""A network stays with its worker, nobody waits, everything is handed out once."""

from __future__ import annotations

from vnnverify.evaluation.instances import Instance
from vnnverify.evaluation.schedule import Schedule


def schedule(models: str) -> Schedule:
    return Schedule(Instance(i, "f", "/f", model, "p", 1.0) for i, model in enumerate(models))


def take(asked: Schedule, *workers: int) -> list[int | None]:
    return [None if (i := asked.next(worker)) is None else i.index for worker in workers]


def test_one_worker_takes_them_in_the_order_of_the_list() -> None:
    assert take(schedule("aabbc"), *[0] * 6) == [0, 1, 2, 3, 4, None]


def test_network_stays_with_its_worker() -> None:
    assert take(schedule("abab"), 0, 1, 1, 0, 0) == [0, 1, 3, 2, None]


def test_worker_without_a_network_of_its_own_helps_where_most_is_waiting() -> None:
    asked = schedule("abbbaa")
    assert take(asked, 0, 1, 2, 2) == [0, 1, 4, 5]
    assert take(asked, 0, 1, 0) == [2, 3, None]
