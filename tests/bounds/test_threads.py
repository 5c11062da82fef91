# SPDX-License-Identifier: Apache-2.0
"""Parts of a batch side by side come to what they come to one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from vnnverify import Verdict
from vnnverify.bounds import threads
from vnnverify.bounds.threads import by_parts, in_threads, worthwhile_threads
from vnnverify.plugin.manager import load_plugins
from vnnverify.testing import context, zoo


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """As on two cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_share_the_work_and_raise_its_first_error() -> None:
    done: list[bool] = []
    in_threads(lambda part: done.append(torch.is_grad_enabled()), range(20))
    assert done == [True] * 20
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda part: 1 // (part - 3), range(8))
    assert torch.get_num_threads() == 2


def test_small_batches_and_gpus_get_no_threads() -> None:
    cpu = torch.device("cpu")
    assert worthwhile_threads(1000, 1000, cpu) == 2
    assert worthwhile_threads(10, 100, cpu) == 1
    assert worthwhile_threads(1, 1 << 30, cpu) == 1
    assert worthwhile_threads(0, 1000, cpu) == 1
    assert worthwhile_threads(1000, 1000, torch.device("cuda")) == 1


@pytest.mark.parametrize(("elements", "parts"), [(1, 1), (1 << 14, 2)])
def test_parts_of_a_batch_come_back_in_its_order(elements: int, parts: int) -> None:
    found = by_parts(lambda index, of: (index.tolist(), of), 7, elements, torch.device("cpu"))
    assert [of for _, of in found] == [parts] * parts
    assert [k for index, _ in found for k in index] == list(range(7))


@pytest.mark.parametrize("name", ["zonotope", "bound_propagation"])
def test_searches_in_threads_tell_the_truth(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "ELEMENTS_PER_THREAD", 1)
    backend = load_plugins().backend_class(name)()
    decided = 0
    for specimen in zoo():
        if specimen.tight or not specimen.query.clauses or not backend.supports(specimen.query):
            continue
        outcome = backend.verify(specimen.query, context(specimen.query, 0.5))
        if outcome.verdict.decided:
            assert outcome.verdict is specimen.truth, specimen.name
            decided += 1
        if outcome.verdict is Verdict.SAT:
            assert outcome.witness is not None and specimen.query.source.replay(outcome.witness).valid
    assert decided > 20
