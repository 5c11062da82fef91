# SPDX-License-Identifier: Apache-2.0
"""Makes pair_*.vnnlib: VNN-LIB 2.0 about two copies of one network, Y_0 = max(X_0, X_1), Y_1 = |X_0 − X_1|.

The first copy is called f, the second g. It is `equal-to` the first one, so that one model is given for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent

SQUARE = [f"(and (>= X_{copy}[0,{k}] -1.0) (<= X_{copy}[0,{k}] 1.0))" for copy in "fg" for k in (0, 1)]
GROWS = ["(== X_g[0,1] X_f[0,1])", "(>= X_g[0,0] X_f[0,0])"]

PROPERTIES = {
    "pair_monotone": (
        "Can the larger input fall, by more than 0.01, while the first input grows? No.",
        [*SQUARE, *GROWS, "(< Y_g[0,0] (- Y_f[0,0] 0.01))"],
    ),
    "pair_falls": (
        "Can the distance of the inputs fall by 0.5 while the first one grows? Yes: towards the second one.",
        [*SQUARE, *GROWS, "(<= Y_g[0,1] (- Y_f[0,1] 0.5))"],
    ),
}


def network(name: str, relation: str = "") -> list[str]:
    """The declaration of one copy."""
    return [
        f"(declare-network {name}{relation}",
        f"    (declare-input  X_{name} real [1,2])",
        f"    (declare-output Y_{name} real [1,2])",
        ")",
    ]


def text(comment: str, assertions: Iterable[str]) -> str:
    """The property, one assertion per row."""
    lines = [f"; {comment}", "(vnnlib-version <2.0>)", *network("f"), *network("g", " (equal-to f)")]
    return "\n".join([*lines, *(f"(assert {row})" for row in assertions)]) + "\n"


if __name__ == "__main__":
    for name, (comment, assertions) in PROPERTIES.items():
        (HERE / f"{name}.vnnlib").write_text(text(comment, assertions), encoding="utf-8")
