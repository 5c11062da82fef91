# SPDX-License-Identifier: Apache-2.0
"""One verification as plain data: what the supervising process tells the worker, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """A model, a property, and how to go about it. Times in seconds."""

    model: str
    query: str
    seconds: float  # time left when the worker is started
    backends: tuple[str, ...] = ()  # empty: the automatic strategy
    options: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "float32"
    seed: int = 0
    verbosity: int = 0
    explain: bool = False  # whether an undecided verdict is to be followed by an explanation

    def to_json(self) -> str:
        """The job as one JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job that `to_json` wrote."""
        record = json.loads(text)
        record["backends"] = tuple(record["backends"])
        return cls(**record)
