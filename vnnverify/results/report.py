# SPDX-License-Identifier: Apache-2.0
"""What a writer gets: one verdict with everything around it, as plain data (neither torch nor onnx)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from vnnverify.inputs.declared import Declared, Networks
from vnnverify.results.explanation import Explanation
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["Report", "ResultWriter", "Witness"]


@dataclass(frozen=True, slots=True)
class Witness:
    """A confirmed counterexample: flat inputs and outputs, every number exact in the model's type."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    rounded: int = 0  # inputs set to a decimal that is no number of that type: the nearest is used
    tensors: tuple[Declared, ...] = ()  # what the numbers belong to, if the property is VNN-LIB 2.0

    def to_record(self) -> dict[str, Any]:
        """The witness as JSON can hold it."""
        record = asdict(self)
        if not self.tensors:
            del record["tensors"]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Witness:
        """The witness that `to_record` wrote, also after a way through JSON.

        Raises:
            TypeError, ValueError, KeyError: it is none.
        """
        return cls(
            x=tuple(map(float, record["x"])),
            y=tuple(map(float, record["y"])),
            rounded=int(record["rounded"]),
            tensors=tuple(map(Declared.from_record, record.get("tensors", ()))),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one model and one property.

    Raises:
        ValueError: `sat` without a witness, a witness without `sat`, or `unsat` on a statistical guarantee.
    """

    model: Networks
    query: str
    verdict: Verdict
    reason: str = ""
    witness: Witness | None = None
    guarantee: Guarantee = Guarantee.REAL
    backend: str = ""
    seconds: float = 0.0  # wall time of the whole run
    timeout: float = 0.0
    stats: Mapping[str, Any] = field(default_factory=dict)  # the turns of each backend: `results.statistics`
    sha256: Mapping[str, str] = field(default_factory=dict)  # of the uncompressed model and property
    versions: Mapping[str, str] = field(default_factory=dict)
    layout: Mapping[str, Any] = field(default_factory=dict)  # `inputs`, `outputs`: name, shape, dtype of each
    explanation: Explanation | None = None  # of an undecided verdict, if asked for
    certificate: Any = None  # of unsat: what another program can recompute the proof from, if there is one

    def __post_init__(self) -> None:
        if (self.verdict is Verdict.SAT) != (self.witness is not None):
            raise ValueError("a witness and the verdict sat belong together")
        if self.verdict is Verdict.UNSAT and self.guarantee is Guarantee.STATISTICAL:
            raise ValueError("a statistical guarantee is no proof of unsat")


class ResultWriter(Protocol):
    """A result format. `name` is what `--format` calls it."""

    @property
    def name(self) -> str:
        """The format's name."""
        ...

    def write(self, report: Report) -> str:
        """The whole content of a result file, or of stdout."""
        ...
