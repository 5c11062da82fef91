# SPDX-License-Identifier: Apache-2.0
"""Why a query is undecided, as plain data (neither torch nor onnx)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is left of an undecided query, how far the bounds got, and what to try.

    Nothing in it is a proof. A margin is the least, over the unsafe polytopes, of the largest row of
    A y − b: positive at an input that is safe; a positive lower bound would prove a clause.
    """

    clauses: int  # of the query
    open_clauses: tuple[int | None, ...]  # their places in the query; None: one that a backend reworded
    hardest: int | None = None  # the open clause with the least margin at sampled inputs
    unsafe: str = ""  # of that clause, the polytope with the least margin
    bound: float | None = None  # the best finite lower bound that a backend has of all that is open
    bound_by: str = ""  # that backend
    margin: float | None = None  # the least margin at any input tried
    subproblems: Mapping[str, int] = field(default_factory=dict)  # visited, by backend
    node: str = ""  # the nonlinear node at which interval bounds loosen most; empty: not found
    operator: str = ""  # its operator
    looseness: float | None = None  # width of the bounds there over the width at samples; None: infinite
    looseness_before: float | None = None  # the same at the nonlinear nodes before it
    samples: int = 0  # inputs that the widths were observed at
    advice: tuple[str, ...] = ()  # what to try, the most promising first

    def to_record(self) -> dict[str, Any]:
        """The explanation as JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Explanation:
        """The explanation that `to_record` wrote, also after a way through JSON.

        Raises:
            TypeError: it is none.
        """
        lists = {name: tuple(record[name]) for name in ("open_clauses", "advice") if name in record}
        return cls(**{**record, **lists})
