# SPDX-License-Identifier: Apache-2.0
"""Which backends may still be advised."""

from __future__ import annotations

from vnnverify import Clause
from vnnverify.deadline import Deadline
from vnnverify.diagnosis.coverage import untried_backends
from vnnverify.plugin.manager import load_plugins
from vnnverify.testing import Network, box, halfspaces, query_of


def test_only_those_who_take_the_query_and_may_decide_it() -> None:
    network = Network.of(([[1.0]], [0.0]), ([[1.0]], [-1.0]))
    query = query_of(network.to_onnx(), [Clause(box([0.0], [1.0]), (halfspaces(([1.0], -0.5)),))])
    plugins = load_plugins()
    found = set(untried_backends(plugins, query, ["zonotope"], Deadline.never()))
    assert found == {"bound_propagation", "falsification", "milp"}
    assert untried_backends(plugins, query, [], Deadline.after(0.0)) == []
