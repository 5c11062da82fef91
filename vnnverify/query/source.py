# SPDX-License-Identifier: Apache-2.0
"""Where a query came from: the original models, and who judges a witness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from vnnverify.ir.graph import Graph
from vnnverify.query.layout import Layout

__all__ = ["Judge", "ModelFile", "Replay", "Source"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the original model says about a candidate witness."""

    valid: bool
    reason: str  # why not, if not valid
    x: tuple[float, ...]  # the point as the model reads it, exact in the model's dtype
    y: tuple[float, ...]  # the model's outputs there
    rounded: int = 0  # inputs set to a decimal that is no number of the model's dtype: nearest used


@dataclass(frozen=True, slots=True)
class Judge:
    """One way of running the original models. A witness must be one to every judge."""

    name: str
    run: Callable[[Sequence[float]], tuple[float, ...]]
    """Flat outputs of all models at one flat point of all their inputs; raises what the runtime raises."""


class ModelFile(Protocol):
    """An original model."""

    @property
    def data(self) -> bytes:
        """The uncompressed file."""
        ...

    @property
    def layout(self) -> Layout:
        """Its inputs and outputs."""
        ...

    @property
    def roundoff(self) -> float:
        """The unit roundoff of the coarsest float type that it computes in."""
        ...

    @property
    def graph(self) -> Graph:
        """What it was read as."""
        ...

    def unsimplified(self) -> Graph:
        """The same node by node, as the file has it."""
        ...

    def reread(self, data: bytes) -> ModelFile:
        """Another file, such as a part of this one, read in the same way."""
        ...


class Source(Protocol):
    """Where a query came from; the judge of its witnesses."""

    @property
    def models(self) -> Sequence[ModelFile]:
        """The original models, in the order of the layout; none if the query was made without a file."""
        ...

    @property
    def judges(self) -> Sequence[Judge]:
        """All that run the original models; none if the query was made without a file."""
        ...

    def replay(self, x: Tensor) -> Replay:
        """Run the original model at x (n,) and check the property's own text."""
        ...

    def outputs(self, x: Tensor) -> tuple[float, ...]:
        """The original model's outputs at x (n,), as its own types read these numbers; whatever it raises."""
        ...
