# SPDX-License-Identifier: Apache-2.0
"""One verification as plain data: what the supervising process tells a worker, and how it gets on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vnnverify.errors import OptionError
from vnnverify.inputs.declared import Networks

__all__ = ["LARGEST_SEED", "Job", "Progress", "parse_device"]

LARGEST_SEED = 2**63 - 1


def parse_device(text: str, option: str) -> str:
    """The device, as torch calls it, or `auto`.

    Raises:
        OptionError: it is none. The message begins with `option`, which it was given by.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", text):
        raise OptionError(f"{option} {text}: expected auto, cpu, cuda or cuda:N")
    return text


@dataclass(frozen=True, slots=True)
class Job:
    """A model, a property, and how to go about it. Times in seconds."""

    model: Networks
    query: str
    seconds: float  # time left when the job is handed over
    backends: tuple[str, ...] = ()  # empty: the automatic strategy
    options: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "float32"
    seed: int = 0
    verbosity: int = 0
    strict: bool = False  # whether to keep to the letter of VNN-LIB 2.0
    explain: bool = False  # whether an undecided verdict is to be followed by an explanation
    progress: bool = False  # whether the worker is to tell how it gets on
    without: tuple[str, ...] = ()  # backends that are not to be tried
    workers: int = 1  # processes that may share a search; 0: one for each core
    parcel: str = ""  # text of a `Parcel` of sub-problems to work on instead of the whole query …
    turn: str = ""  # … and the backend that is to do it
    number: int = 0  # what tells a worker's jobs apart; all that it says repeats it

    def to_json(self) -> str:
        """The job as one JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job that `to_json` wrote."""
        record = json.loads(text)
        lists = {name: tuple(record[name]) for name in ("backends", "without")}
        return cls(**{**record, **lists})


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running verification tells: that the files are read, once a second how a search stands, and of
    each backend's turn as it ends.

    `details` hold, of a query, `inputs`, `outputs`, `nodes`, `clauses` and the list `backends`; of a search,
    its `backend`, sub-problems `visited` and `open`, and the lowest `bound` (None: none that is finite); of a
    turn, `backend`, `verdict`, `seconds`, `reason` and `open_clauses`.
    """

    stage: str  # "query", "search" or "turn"
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0  # since the start of the run

    def __str__(self) -> str:
        about = self.details
        if self.stage == "query":
            return (
                f"{about['inputs']} inputs, {about['outputs']} outputs, {about['nodes']} nodes, "
                f"{about['clauses']} clauses; trying {', '.join(about['backends'])}"
            )
        if self.stage == "search":
            bound = "no bound" if about["bound"] is None else f"lowest bound {about['bound']:.4g}"
            visited, left = f"{about['visited']:,} sub-problems visited", f"{about['open']:,} open"
            return f"{about['backend']}: {visited}, {left}, {bound}"
        said = f": {about['reason']}" if about["reason"] else ""
        return f"{about['backend']}: {about['verdict']} in {about['seconds']:.2f} s{said}"
