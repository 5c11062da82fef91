# SPDX-License-Identifier: Apache-2.0
"""Who has a turn by default, when, and for how long."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from vnnverify import Backend, BackendInfo, Clause, Query
from vnnverify.engine.schedule import PlannedTurn, automatic, sequence
from vnnverify.plugin.manager import load_plugins
from vnnverify.testing import Network, box, halfspaces, query_of

INSTALLED = [load_plugins().backends[name] for name in load_plugins().backends]
ATTACK, LAST = PlannedTurn("falsification", 0.05, 1.0), PlannedTurn("falsification")
FEW = [
    PlannedTurn("falsification", 0.05, 0.3),
    PlannedTurn("zonotope", 0.1),
    PlannedTurn("bound_propagation", 0.1),
    PlannedTurn("zonotope", 0.6),
    PlannedTurn("bound_propagation", 0.8),
    PlannedTurn("zonotope", 0.3, precise=True),
    PlannedTurn("bound_propagation", 0.3, precise=True),
    PlannedTurn("milp", 0.8),
    LAST,
]
MANY = [ATTACK, PlannedTurn("bound_propagation", 0.8), PlannedTurn("milp", 0.8), LAST]
LARGE = [ATTACK, PlannedTurn("bound_propagation", 0.94), PlannedTurn("milp", 0.4), LAST]


def wide(inputs: int, hidden: int = 2) -> Query:
    """A sum of ReLUs that are inactive on a part of the box, over [−1, 1]."""
    rows = [[1.0 + k] + [1.0] * (inputs - 1) for k in range(hidden)]
    network = Network.of((rows, [0.0] * hidden), ([[1.0] * hidden], [0.0]))
    clause = Clause(box([-1.0] * inputs, [1.0] * inputs), (halfspaces(([1.0], -1.0)),))
    return query_of(network.to_onnx(), [clause])


def truncated(query: Query) -> Query:
    return dataclasses.replace(query, truncated=(0,))


def whole(query: Query) -> Query:
    """With an input that holds whole numbers."""
    spec = dataclasses.replace(query.layout.inputs[0], dtype="int8")
    return dataclasses.replace(query, layout=dataclasses.replace(query.layout, inputs=(spec,)))


def with_second(planned: Sequence[PlannedTurn], second: PlannedTurn) -> list[PlannedTurn]:
    return [planned[0], second, *planned[1:]]


@pytest.mark.parametrize(
    ("query", "planned"),
    [
        (wide(2), FEW),
        (wide(16, 4000), FEW),
        (wide(16, 4001), LARGE),
        (wide(17), MANY),
        (wide(17, 1000), MANY),
        (wide(17, 1001), LARGE),
        (truncated(wide(2)), with_second(FEW, PlannedTurn("enumeration", 0.8))),
        (whole(wide(2)), with_second(FEW, PlannedTurn("enumeration", 0.3))),
        (whole(wide(20)), with_second(MANY, PlannedTurn("enumeration", 0.3))),
    ],
    ids=["few", "few-medium", "few-large", "many", "many-small", "many-large", "cut", "whole", "many-whole"],
)
def test_the_order_of_what_is_installed(query: Query, planned: list[PlannedTurn]) -> None:
    assert automatic(query, INSTALLED) == planned


def test_what_is_not_installed_has_no_turn() -> None:
    (milp,) = (info for info in INSTALLED if info.few_neurons is not None)
    assert automatic(wide(2), [milp]) == [PlannedTurn("milp", 0.8)]
    assert automatic(wide(2), []) == []


def load() -> type[Backend]:
    raise AssertionError("nobody has to be imported for this")


def test_a_strangers_backend_is_scheduled_by_what_it_declares() -> None:
    stranger = BackendInfo("abacus", "", load, proves=True, complete=True)
    assert automatic(wide(20), [*INSTALLED, stranger]) == [
        ATTACK,
        PlannedTurn("abacus", 0.4),
        PlannedTurn("bound_propagation", 0.4 / (1 - 0.4)),  # the same part of all the time
        PlannedTurn("milp", 0.8),
        LAST,
    ]
    names = [planned.backend for planned in automatic(wide(2), [*INSTALLED, stranger])]
    assert names.count("abacus") == names.count("bound_propagation") == 3


def test_a_strangers_bisection_is_asked_up_to_the_inputs_it_declares() -> None:
    stranger = BackendInfo("abacus", "", load, proves=True, complete=True, few_inputs=30)
    assert [p.backend for p in automatic(wide(30), [*INSTALLED, stranger])][:3] == [
        "falsification",
        "abacus",
        "bound_propagation",
    ]
    assert automatic(wide(31), [*INSTALLED, stranger]) == MANY


@pytest.mark.parametrize(
    "stranger",
    [
        BackendInfo("abacus", "declares nothing", load),
        BackendInfo("abacus", "one pass of bounds", load, refutes=True, proves=True),
        BackendInfo("abacus", "no proof", load, guarantee="statistical", proves=True, complete=True),
    ],
)
def test_who_cannot_settle_it_has_no_turn(stranger: BackendInfo) -> None:
    assert automatic(wide(2), [*INSTALLED, stranger]) == FEW


def test_sequence_shares_the_time_equally() -> None:
    thirds = [PlannedTurn("a", 1 / 3), PlannedTurn("b", 1 / 2), PlannedTurn("c", 1.0)]
    assert sequence(["a", "b", "c"]) == thirds
    assert sequence([]) == []


def test_abilities_in_words() -> None:
    assert BackendInfo("abacus", "", load).abilities == ""
    said = BackendInfo(
        "abacus", "", load, refutes=True, opaque=True, few_inputs=3, few_neurons=2000
    ).abilities
    assert said == "refutes, takes black boxes, up to 3 varying inputs, best up to 2,000 nonlinear neurons"
