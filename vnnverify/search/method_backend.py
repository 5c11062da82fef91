# SPDX-License-Identifier: Apache-2.0
"""Backends that are one bounding method each: `class Crown(MethodBackend): method = …`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from vnnverify.bounds.method import BoundMethod
from vnnverify.bounds.methods.sweep import prepared
from vnnverify.errors import UnsupportedOperator
from vnnverify.numerics import direct_convolutions
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.plugin.backend import Backend, Context, Outcome
from vnnverify.plugin.options import option
from vnnverify.query import Query
from vnnverify.search.input_split import InputSplit
from vnnverify.search.method_bounder import MethodBounder
from vnnverify.search.zero_margins import without_zero_margins
from vnnverify.verdict import Support

__all__ = ["MethodBackend", "MethodOptions"]


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """Options of a backend that is one method."""

    memory: int = option(256, help="MiB that bounds of boxes may take", minimum=1, mebibytes=True)
    max_batch: int = option(4096, help="most boxes bounded at once", minimum=1)
    split_inputs: int = option(
        16, help="branch and bound on the input box up to so many varying inputs, else no search", minimum=0
    )


class MethodBackend(Backend[MethodOptions]):
    """Proves by one bounding method, with branch and bound on the input box where few inputs vary.

    Attributes:
        method: what bounds the margins over each box.
    """

    method: ClassVar[BoundMethod]

    def supports(self, query: Query) -> Support:
        """Whether every operator can be bounded."""
        try:
            prepared(query.graph)
        except UnsupportedOperator as error:
            return Support.lacking(error)
        return Support.yes()

    def verify(self, query: Query, ctx: Context) -> Outcome:
        """Bounds each clause's region, then its parts."""
        if ctx.parcel is None:  # whose sub-problems count its clauses as they are
            query = without_zero_margins(query, ctx)
        if not query.clauses:
            return Outcome.unsat()
        if ctx.deadline.expired:
            return Outcome.timeout("no time was given")
        few = query.varying <= self.options.split_inputs or ctx.parcel is not None
        with torch.no_grad(), direct_convolutions():
            bounder = MethodBounder(self.method, query, ctx, self.options.memory << 20)
            most, splits = self.options.max_batch, None if few else 0
            search = InputSplit(query, bounder, ctx, max_batch=most, max_splits=splits)
            why, kind = "boxes at float resolution", ObstacleKind.FLOAT_RESOLUTION
            if not few:
                why, kind = "too many varying inputs to split", ObstacleKind.TOO_MANY_INPUTS
            return search.run().outcome(query, why, Obstacle(kind))
