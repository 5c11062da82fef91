# SPDX-License-Identifier: Apache-2.0
"""What kept a backend from deciding a query, as data: what programs read, where people read the reason."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vnnverify.errors import UnsupportedOperator

__all__ = ["Obstacle", "ObstacleKind"]


class ObstacleKind(Enum):
    """What kind of thing it was."""

    OUT_OF_TIME = "out of time"
    OUT_OF_MEMORY = "out of memory"
    """An allocation failed."""
    LIMIT = "limit reached"
    """A limit that an option of the backend sets: `option`, `value`."""
    OPERATOR = "operator cannot be bounded"
    """A domain has neither a rule for an operator nor parts of it: `node`, `operator`, `domain`."""
    NOT_SUPPORTED = "not supported"
    """The query is of a shape that the backend does not take."""
    FLOAT_RESOLUTION = "float resolution reached"
    """Boxes are too thin to be halved, or differences too small to be told from rounding."""
    TOO_MANY_INPUTS = "too many inputs to split"
    NOTHING_TO_SPLIT = "nothing left to split"
    LOOSE_BOUNDS = "bounds too loose"
    """Bounds prove nothing, and the backend does not refine them."""
    NO_COUNTEREXAMPLE = "no counterexample found"
    """All that a backend which only refutes can say."""
    STATISTICAL = "statistical guarantee only"
    REFUTED_WITNESS = "witness refuted by the model"
    NOT_THE_MODEL = "graph differs from the model"
    """What was found out about the graph says nothing about the model."""
    FAILED = "failed"
    """The backend raised an exception."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Its kind, and what belongs to that kind."""

    kind: ObstacleKind
    node: str = ""  # name of the node in the ONNX model
    operator: str = ""
    domain: str = ""  # what lacks a rule for it
    option: str = ""  # of the backend
    value: int | None = None  # of the option

    @classmethod
    def limit(cls, option: str, value: int) -> Obstacle:
        """A limit set by the backend's option was reached."""
        return cls(ObstacleKind.LIMIT, option=option, value=value)

    @classmethod
    def of(cls, error: BaseException) -> Obstacle:
        """What an exception stands for, by its type."""
        if isinstance(error, UnsupportedOperator):
            return cls(ObstacleKind.OPERATOR, node=error.node, operator=error.op, domain=error.domain)
        if isinstance(error, MemoryError):
            return cls(ObstacleKind.OUT_OF_MEMORY)
        return cls(ObstacleKind.FAILED)

    def to_record(self) -> dict[str, Any]:
        """JSON-able: `kind`, and of the other fields those that say something."""
        said = {name: value for name, value in dataclasses.asdict(self).items() if value not in ("", None)}
        return {**said, "kind": self.kind.value}
