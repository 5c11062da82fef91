# SPDX-License-Identifier: Apache-2.0
"""`supports` tells the truth: it never raises, a no has a reason, a yes is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vnnverify.ir import Elementwise, Graph, Node, Op, Value
from vnnverify.plugin.backend import Backend
from vnnverify.query import Clause, Query
from vnnverify.testing.network import Network
from vnnverify.testing.records import CheckFailure, demand
from vnnverify.testing.source import query_of
from vnnverify.testing.subject import Settings, answer, context
from vnnverify.testing.zoo import box, halfspaces, zoo
from vnnverify.verdict import Support

__all__ = ["Riddle", "check_honest_support", "riddle_query"]


@dataclass(frozen=True, slots=True, eq=False)
class Riddle(Op):
    """An operator with neither a trait nor parts, as the next release of ONNX may bring one. It is x."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0]


@dataclass(frozen=True, slots=True, eq=False)
class Bump(Elementwise):
    """x − x³/3, an elementwise function that no table mentions by name; it turns where 1 − x² = slope."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return x - x * x * x / 3

    def derivative(self, x: Tensor) -> Tensor:
        return 1 - x * x

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        x = torch.sqrt((1 - slope).clamp(min=0))
        return x, -x

    @property
    def ulps(self) -> int:
        return 16


def riddle_query(op: Op) -> Query:
    """May `op`, which is nearly the identity on [−1/8, 1/8], reach one half there? No."""
    clause = Clause(box([-0.125], [0.125]), (halfspaces(([-1.0], -0.5)),))
    query = query_of(Network.of(([[1.0]], [0.0])).to_onnx(), (clause,))
    x = query.graph.inputs[0]
    y = Value("Y", x.shape)
    return Query(Graph((x,), (y,), (Node(op, (x,), y, "riddle"),)), (clause,), query.layout, query.source)


def check_honest_support(backend: Backend[Any], settings: Settings) -> None:
    """On every specimen, and on operators it has never seen."""
    for specimen in zoo()[::8]:
        _ask(backend, specimen.query, specimen.name, settings.time_for(specimen), settings)
    for op in (Riddle(), Bump()):
        _ask(backend, riddle_query(op), f"an unknown operator {op.kind}", settings.seconds, settings)


def _ask(backend: Backend[Any], query: Query, name: str, seconds: float, settings: Settings) -> None:
    try:
        support = backend.supports(query)
    except Exception as error:  # whatever it is, it is a failure
        raise CheckFailure(f"{name}: supports raised {type(error).__name__}: {error}") from error
    demand(isinstance(support, Support), f"{name}: supports must return a Support")
    if not support:
        demand(bool(support.reason), f"{name}: not supported, without a reason")
        return
    answer(backend, query, context(query, seconds, dtype=settings.dtype), name, settings.grace)
