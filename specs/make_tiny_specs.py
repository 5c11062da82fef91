# SPDX-License-Identifier: Apache-2.0
"""Makes tiny_*.vnnlib: questions about Y_0 = max(X_0, X_1), Y_1 = |X_0 − X_1| to be answered by hand."""

from __future__ import annotations

from vnnlib_text import box, conjunction, disjunction, write_property

SQUARE = box((-1.0, -1.0), (1.0, 1.0))

PROPERTIES = {
    "tiny_sat": (
        "Can the larger input be 0.75 or more? Yes: any point with X_0 >= 0.75.",
        [*SQUARE, "(>= Y_0 0.75)"],
    ),
    "tiny_interval": (
        "Can the larger input be 3.5 or more? No, and intervals suffice to see it: they give Y_0 <= 3.",
        [*SQUARE, "(>= Y_0 3.5)"],
    ),
    "tiny_unsat": (
        "Can the larger input be 1.01 or more? No: both are at most 1. Intervals do not suffice.",
        [*SQUARE, "(>= Y_0 1.01)"],
    ),
    "tiny_tight": (
        "Can the larger input be 1 or more? Just so: on two edges of the square, with no room to spare.",
        [*SQUARE, "(>= Y_0 1.0)"],
    ),
    "tiny_strict": (
        "Can the larger input be above 1? No, by no room at all: a proof needs exact arithmetic.",
        [*SQUARE, "(> Y_0 1.0)"],
    ),
    "tiny_disjuncts": (
        "Several unsafe sets, none reachable: two inputs near -1 cannot lie far apart, nor any by 2.1.",
        [
            *SQUARE,
            disjunction([conjunction(["(<= Y_0 -0.9)", "(>= Y_1 0.15)"]), "(>= Y_1 2.1)", "(<= Y_1 -0.05)"]),
        ],
    ),
    "tiny_boxes": (
        "Several input boxes. In the second, X_0 leads by at least 1.25: sat.",
        [
            disjunction(
                [
                    conjunction([*box((-1.0, -1.0), (-0.5, -0.5)), "(>= Y_1 0.75)"]),
                    conjunction([*box((0.5, -1.0), (1.0, -0.75)), "(>= Y_1 1.0)"]),
                ]
            )
        ],
    ),
    "tiny_mixed": (
        "Inputs and outputs in one row: can the larger input be less than the first by 0.01? No.",
        [*SQUARE, "(<= Y_0 (- X_0 0.01))"],
    ),
    "tiny_linear": (
        "A box cut by a row over inputs: where X_0 + X_1 <= -1.5, can the larger input be 0.6? No.",
        [*SQUARE, "(<= (+ X_0 X_1) -1.5)", "(>= Y_0 0.6)"],
    ),
}

if __name__ == "__main__":
    for name, (comment, assertions) in PROPERTIES.items():
        write_property(name, comment, 2, 2, assertions)
