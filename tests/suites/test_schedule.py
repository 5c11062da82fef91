# SPDX-License-Identifier: Apache-2.0
"""A network stays with its worker, nobody waits, everything is handed out once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from vnnverify.suites.instances import Instance
from vnnverify.suites.schedule import Schedule


def schedule(models: str) -> Schedule:
    return Schedule(Instance(i, "f", "/f", model, "p", 1.0) for i, model in enumerate(models))


def take(asked: Schedule, *workers: int) -> list[int]:
    found = [asked.next(worker) for worker in workers]
    return [i.index for i in found if i is not None]


def test_one_worker_takes_them_in_the_order_of_the_list() -> None:
    assert take(schedule("aabbc"), *[0] * 5) == [0, 1, 2, 3, 4]


def test_network_stays_with_its_worker() -> None:
    assert take(schedule("abab"), 0, 1, 1, 0) == [0, 1, 3, 2]


def test_worker_without_a_network_of_its_own_helps_where_most_is_waiting() -> None:
    asked = schedule("abbbaa")
    assert take(asked, 0, 1, 2, 2) == [0, 1, 4, 5]
    assert take(asked, 0, 1) == [2, 3]


def test_who_asks_waits_until_there_is_something_or_it_is_over() -> None:
    asked = schedule("a")
    first = asked.next(0)
    assert first is not None and asked.size == 1
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(asked.next, 1)
        assert asked.back(first)
        assert waiting.result(60.0) is first
        waiting = pool.submit(asked.next, 1)
        asked.close()
        assert waiting.result(60.0) is None
    assert asked.back(first) and not asked.back(first)
