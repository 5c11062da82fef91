# SPDX-License-Identifier: Apache-2.0
"""Backends that promise what they do not keep, and options as they must not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bad_backends.exact import Runs
from vnnverify import Backend, Context, NoOptions, Outcome, Query, Support, option
from vnnverify.errors import UnsupportedOperator

__all__ = [
    "DefaultOutOfRange",
    "MutableOptions",
    "NoDefault",
    "NoHelp",
    "NoReason",
    "PromisesTooMuch",
    "SupportsRaises",
    "TakesAnything",
]


class SupportsRaises(Runs):
    def supports(self, query: Query) -> Support:
        raise UnsupportedOperator("n", "Riddle", "exact")


class NoReason(Runs):
    def supports(self, query: Query) -> Support:
        return Support(False)


class PromisesTooMuch(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        for node in query.graph.nodes:
            if node.op.kind == "Riddle":
                raise UnsupportedOperator(node.name, node.op.kind, "exact")
        return super().verify(query, ctx)


@dataclass
class Thawed:
    steps: int = option(1, help="steps taken")


class MutableOptions(Backend[Thawed]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("nothing")


@dataclass(frozen=True)
class Unexplained:
    steps: int = 1


class NoHelp(Backend[Unexplained]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("nothing")


@dataclass(frozen=True)
class Undefaulted:
    steps: int


class NoDefault(Backend[Undefaulted]):
    def __init__(self) -> None:
        super().__init__(Undefaulted(3))

    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("nothing")


@dataclass(frozen=True)
class Limited:
    steps: int = option(0, help="steps taken", minimum=1)


class DefaultOutOfRange(Backend[Limited]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("nothing")


class TakesAnything(Runs):
    @classmethod
    def parse_options(cls, given: Any) -> Any:
        return NoOptions()
