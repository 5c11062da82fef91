# SPDX-License-Identifier: Apache-2.0
"""Makes controller_*.vnnlib: five scaled inputs in [-0.5, 0.5], five costs, the least is flown."""

from __future__ import annotations

from vnnlib_text import box, conjunction, disjunction, write_property

BEHIND = box((-0.4, 0.4, -0.1, 0.3, -0.5), (-0.2, 0.5, 0.1, 0.5, -0.3))
FAR = box((0.4, -0.5, -0.5, -0.5, -0.5), (0.5, 0.5, 0.5, 0.5, 0.5))
AHEAD = box((-0.45, -0.02, -0.02, 0.3, -0.5), (-0.35, 0.02, 0.02, 0.5, -0.4))
NEAR = box((-0.5, -0.1, -0.5, 0.0, 0.0), (-0.35, 0.1, 0.5, 0.2, 0.2))
LEFT = box((-0.42, 0.1, -0.35, 0.0, 0.0), (-0.35, 0.2, -0.25, 0.2, 0.2))
SOME_TURN_IS_BEST = disjunction(f"(<= Y_{k} Y_0)" for k in range(1, 5))

PROPERTIES = {
    "controller_behind": (
        "A slow aircraft behind us on our own course: is ever a turn advised? One disjunct per turn.",
        [*BEHIND, SOME_TURN_IS_BEST],
    ),
    "controller_far": (
        "An intruder at more than 10.8 km, anything else: is ever a turn advised?",
        [*FAR, SOME_TURN_IS_BEST],
    ),
    "controller_ahead": (
        "A slow aircraft right ahead, closer than 1.8 km: can flying on look cheap?",
        [*AHEAD, "(<= Y_0 0.55)"],
    ),
    "controller_ahead_best": (
        "The same encounter: can flying on be the best of all, by 0.1?",
        [*AHEAD, *(f"(<= (+ Y_0 0.1) Y_{k})" for k in range(1, 5))],
    ),
    "controller_two_boxes": (
        "Two encounters with a question each: behind us with a costly way on, or crossing from the left "
        "with every advisory costly.",
        [
            disjunction(
                [
                    conjunction([*BEHIND, "(>= Y_0 0.2)"]),
                    conjunction([*LEFT, *(f"(>= Y_{k} 1.05)" for k in range(5))]),
                ]
            )
        ],
    ),
    "controller_mixed": (
        "Input and output in one row: does the cost of flying on fall with the distance? That they add up "
        "to 0.62 or more is excluded.",
        [*LEFT, "(>= (+ Y_0 X_0) 0.62)"],
    ),
    "controller_hard": (
        "Any near intruder ahead or to the side, any course: can all advisories cost 1.1 or more?",
        [*NEAR, *(f"(>= Y_{k} 1.1)" for k in range(5))],
    ),
}

if __name__ == "__main__":
    for name, (comment, assertions) in PROPERTIES.items():
        write_property(name, comment, 5, 5, assertions)
