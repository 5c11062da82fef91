# SPDX-License-Identifier: Apache-2.0
"""What `vnnverify.verify` gives back."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnnverify.results.explanation import Explanation
from vnnverify.results.report import Report
from vnnverify.verdict import Guarantee, Verdict

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Counterexample", "Result"]


@dataclass(frozen=True, slots=True, eq=False)
class Counterexample:
    """A confirmed witness as arrays of the model's own shapes and types, by the names of tensors: those in
    the model, or, of a VNN-LIB 2.0 property, those in its text."""

    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]

    @property
    def x(self) -> np.ndarray:
        """The input of a model that has one.

        Raises:
            ValueError: it has several; take them from `inputs`.
        """
        return _only(self.inputs, "inputs")

    @property
    def y(self) -> np.ndarray:
        """The output of a model that has one.

        Raises:
            ValueError: it has several; take them from `outputs`.
        """
        return _only(self.outputs, "outputs")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The answer: `verdict`, and all there is to know about it.

    A VNN-LIB property states what must not happen, so `UNSAT` is the good news; `holds` says it plainly.
    """

    report: Report

    @property
    def verdict(self) -> Verdict:
        """SAT (violated), UNSAT (holds), UNKNOWN, TIMEOUT or ERROR."""
        return self.report.verdict

    @property
    def holds(self) -> bool | None:
        """Whether the property holds; None if that is undecided."""
        return self.report.verdict is Verdict.UNSAT if self.report.verdict.decided else None

    @property
    def reason(self) -> str:
        """Why it is undecided or failed."""
        return self.report.reason

    @property
    def backend(self) -> str:
        """The backend that decided it."""
        return self.report.backend

    @property
    def guarantee(self) -> Guarantee:
        """What an `UNSAT` rests on."""
        return self.report.guarantee

    @property
    def seconds(self) -> float:
        """Wall time of the whole run."""
        return self.report.seconds

    @property
    def stats(self) -> Mapping[str, Any]:
        """The turns of each backend, in order."""
        return self.report.stats

    @property
    def certificate(self) -> Any:
        """What another program can recompute a proof of `UNSAT` from, in the form of the backend; None if
        there is none. It has to survive JSON; with `isolated=False` it is the backend's own object."""
        return self.report.certificate

    @property
    def explanation(self) -> Explanation | None:
        """Why it is undecided, in detail, if that was asked for with `explain=True`."""
        return self.report.explanation

    @property
    def witness(self) -> Counterexample | None:
        """The counterexample, if there is one."""
        if self.report.witness is None:
            return None
        layout, witness = self.report.layout, self.report.witness
        declared = sorted(witness.tensors, key=lambda tensor: tensor.start)
        inputs = [tensor.name for tensor in declared if tensor.kind == "input"]
        outputs = [tensor.name for tensor in declared if tensor.kind != "input"]
        return Counterexample(
            _arrays(witness.x, layout.get("inputs", ()), inputs),
            _arrays(witness.y, layout.get("outputs", ()), outputs),
        )

    def save(self, path: str | os.PathLike[str], style: str = "json") -> None:
        """Write the result to a file in one of the formats of `--format`.

        Raises:
            OptionError: there is no such format.
            FileError: the file cannot be written.
        """
        from vnnverify.plugin.manager import load_plugins
        from vnnverify.results import find_writer, write_file

        write_file(os.fspath(path), find_writer(style, load_plugins().writers).write(self.report))

    def __bool__(self) -> bool:
        raise TypeError(
            "a Result has no truth value; ask for result.holds, or compare result.verdict with Verdict.UNSAT"
        )

    def __str__(self) -> str:
        from vnnverify.results.text import TextWriter

        return TextWriter().write(self.report).rstrip()

    def __repr__(self) -> str:
        by = f" by {self.backend}" if self.backend and self.verdict.decided else ""
        return f"<Result: {self.verdict.value}{by} in {self.seconds:.2f} s>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _only(tensors: Mapping[str, np.ndarray], what: str) -> np.ndarray:
    if len(tensors) != 1:
        raise ValueError(f"the model has {len(tensors)} {what}: {', '.join(tensors)}; take them by name")
    return next(iter(tensors.values()))


def _arrays(flat: tuple[float, ...], tensors: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The values of tensors, by these names, if there are any, or else by their own."""
    import numpy as np

    found, start = {}, 0
    names = names or [tensor["name"] for tensor in tensors]
    for name, tensor in zip(names, tensors, strict=True):
        size = int(np.prod(tensor["shape"], dtype=np.int64))
        values = np.array(flat[start : start + size], dtype=np.float64)
        found[name] = values.astype(tensor["dtype"]).reshape(tensor["shape"])
        start += size
    return found
