# SPDX-License-Identifier: Apache-2.0
"""The result file of VNN-COMP: the verdict's word, then the witness as an s-expression if `sat`.

Numbers are printed with `repr`, which reads back to the very same float.
"""

from __future__ import annotations

import re

from vnnverify.errors import SpecError
from vnnverify.results.report import Report, Witness

__all__ = ["VnncompWriter", "read_witness"]

_PAIR = re.compile(r"\(\s*([XY])_(\d+)\s+([^()\s]+)\s*\)")


class VnncompWriter:
    """sat | unsat | timeout | unknown | error, and the witness ((X_0 v) … (Y_0 v) …)."""

    name = "vnncomp"

    def write(self, report: Report) -> str:
        """The result file's content."""
        lines = [report.verdict.value]
        if report.witness is not None:
            pairs = [f"(X_{i} {v!r})" for i, v in enumerate(report.witness.x)]
            pairs += [f"(Y_{i} {v!r})" for i, v in enumerate(report.witness.y)]
            lines.append("(" + "\n ".join(pairs) + ")")
        return "\n".join(lines) + "\n"


def read_witness(text: str, source: str = "") -> Witness:
    """The witness of a result file.

    Raises:
        SpecError: the text holds none, or its variables are not numbered 0, 1, 2, …
    """
    values: dict[str, list[float]] = {"X": [], "Y": []}
    for name, index, number in _PAIR.findall(text):
        if int(index) != len(values[name]):
            raise SpecError(
                f"{name}_{index} out of order; expected {name}_{len(values[name])}", source=source
            )
        try:
            values[name].append(float(number))
        except ValueError:
            raise SpecError(f"{name}_{index}: {number!r} is not a number", source=source) from None
    if not values["X"]:
        raise SpecError("no witness ((X_0 …) …) found; only `sat` results hold one", source=source)
    return Witness(tuple(values["X"]), tuple(values["Y"]))
