# SPDX-License-Identifier: Apache-2.0
"""Every number that steers the search: what is tried when, for how long, with how many steps.

None of them can make an answer wrong. Each is an option of the backend, `-o name=value`; what steers the
ascents themselves is inherited from `vnnverify.bounds`. `benchmarks/settings.py` shows what one is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

from vnnverify import option
from vnnverify.bounds.intermediate.settings import RefinementSettings
from vnnverify.errors import OptionError
from vnnverify.plugin.options import setting

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings(RefinementSettings):
    """Options of `bound_propagation`."""

    memory: int = option(
        256, help="MiB that the rows of one backward pass may take", minimum=1, mebibytes=True
    )
    max_batch: int = option(4096, help="most boxes bounded at once", minimum=1)
    split_inputs: int = option(
        16,
        help="branch and bound on the input box up to so many varying inputs, else on activations",
        minimum=0,
    )
    forward_inputs: int = option(32, help="forward linear bounds up to so many varying inputs", minimum=0)

    # Inputs or activations: which of them to split.
    affine_inputs: int = setting(
        64,
        help="varying inputs up to which boxes are halved where there is no activation to split",
        minimum=0,
    )
    curved_factor: int = setting(
        4,
        help="with other functions than ReLUs boxes are halved first up to so many times `split_inputs`",
        minimum=0,
    )
    curved_halving_share: float = setting(
        0.5, help="part of the time that halving them may take", minimum=0, maximum=1
    )
    ball_share: float = setting(
        0.5,
        help="part of the time that splitting signs over balls may take before boxes around them are halved",
        minimum=0,
        maximum=1,
    )
    costly_relus: int = setting(
        4000, help="ReLUs beyond which a box is bounded as well as possible, at first one by one", minimum=-1
    )
    first_boxes: int = setting(64, help="most boxes of the first batch otherwise", minimum=1)

    # Splitting inputs.
    box_refined: int = setting(
        64, help="a box with more open neurons in a layer than this is halved, not refined there", minimum=0
    )
    box_steps: int = setting(10, help="costly boxes: gradient steps for a subproblem of a box", minimum=0)
    box_slope_steps: int = setting(
        3, help="costly boxes: gradient steps for intermediate bounds whose rows are patches", minimum=0
    )
    box_patience: float = setting(
        6, help="costly boxes: depth of splits that a search inside one may seem to need", minimum=0
    )
    box_full_batch: int = setting(
        4, help="costly boxes: subproblems from which on such a search splits one neuron at a time", minimum=1
    )
    box_effort: float = setting(
        2.0, help="costly boxes: time for such a search, in that of bounding the box", minimum=0
    )

    # Root bounds.
    large_network: int = setting(50_000, help="nonlinear neurons from which on a network is large", minimum=0)
    large_share: float = setting(
        0.9, help="part of the time for root bounds of large networks", minimum=0, maximum=1
    )
    plain_share: float = setting(0.5, help="part of the time for those of others", minimum=0, maximum=1)
    clock_looks: int = setting(
        4,
        help="looks at the clock for as many rows over the outputs as are bounded at once elsewhere",
        minimum=1,
    )
    start_passes: float = setting(
        4, help="a search begins if there is time for so many backward passes over all it is about", minimum=0
    )

    # Networks of ReLUs: rounds of better root bounds and a search after each.
    root_rounds: str = setting(
        "plain,0,2,4,6,8,10,12",
        help="root bounds of each round: plain, or optimised with at most 2^k cases for each bound",
    )
    root_steps: int = setting(10, help="gradient steps for an intermediate bound at the root", minimum=0)
    root_share: float = setting(
        0.3, help="part of the time left for a round of root bounds", minimum=0, maximum=1
    )
    trial_patience: float = setting(
        12, help="depth of splits that an early search may seem to need before it is given up", minimum=0
    )
    trial_share: float = setting(
        0.3, help="part of the time left that an early search may take", minimum=0, maximum=1
    )
    trial_seconds: float = setting(
        1.0, help="seconds it may take, or as long as the round before it took", minimum=0
    )
    round_growth: float = setting(4, help="how many times as long the next round may take", minimum=0)
    round_share: float = setting(
        0.25, help="a round is dear that takes more than this part of the time left", minimum=0, maximum=1
    )
    hopeless_splits: float = setting(
        100, help="a search is in vain that seems to need splits so deep", minimum=0
    )
    promising_gain: float = setting(
        0.25,
        help="a round is promising if it made up for this part of what was missing",
        minimum=0,
        maximum=1,
    )
    promising_share: float = setting(
        0.8, help="part of the time left that the next may take then", minimum=0, maximum=1
    )

    # Networks of ReLUs: subproblems.
    relu_steps: int = setting(10, help="gradient steps for a subproblem", minimum=0)
    relu_root_steps: int = setting(40, help="gradient steps for a specification without splits", minimum=0)
    relu_candidates: int = setting(6, help="most neurons proposed for splitting", minimum=1)
    tightened_share: float = setting(
        0.5, help="part of the time left for intermediate bounds of each specification", minimum=0, maximum=1
    )
    tightened_many: float = setting(
        100, help="subproblems get such bounds too if there is time for so many of them", minimum=0
    )
    tightened_seconds: float = setting(4.0, help="what a batch of these should take", minimum=0)
    tightened_splits: int = setting(1, help="each of these bounds has 2^k cases", minimum=0)
    tightened_steps: int = setting(20, help="gradient steps with new intermediate bounds", minimum=0)
    tightened_part: float = setting(
        0.95, help="only ends are bounded anew that make up this part of the gain", minimum=0, maximum=1
    )
    tightened_progress: float = setting(
        0.1,
        help="all ends are if a split gained less than this part of what was missing",
        minimum=0,
        maximum=1,
    )
    tightened_effort: float = setting(
        1.0,
        help="time for a search without new bounds inside a subproblem, in that which they took",
        minimum=0,
    )
    tightened_patience: float = setting(12, help="depth of splits that it may seem to need", minimum=0)

    # Other functions than ReLUs.
    curve_margin_steps: int = setting(20, help="gradient steps for a specification's lines", minimum=0)
    curve_root_steps: int = setting(4, help="gradient steps for an intermediate bound at the root", minimum=0)
    curve_root_share: float = setting(
        0.6, help="part of the time left that these may take", minimum=0, maximum=1
    )
    curve_steps: int = setting(6, help="gradient steps for a subproblem", minimum=0)
    curve_candidates: int = setting(4, help="most elements proposed for splitting", minimum=1)
    patch_rounds: str = setting(
        "0:0,0:2,0:3,4:2,8:3",
        help="rounds of root bounds where rows are patches, steps:splits; the last for all that follow",
    )
    patch_progress: float = setting(
        0.1,
        help="such a round is followed by the next if it made up for this part of what was missing",
        minimum=0,
        maximum=1,
    )

    # One hidden layer: cells of hinges.
    cell_steps: int = setting(5, help="primal-dual steps before a cell is shrunk", minimum=0)
    cell_rounds: int = setting(2, help="how often both are done", minimum=1)
    cell_root_steps: int = setting(40, help="steps for a specification without splits", minimum=0)
    cell_root_rounds: int = setting(5, help="rounds for it", minimum=1)
    cell_leaf_steps: int = setting(300, help="steps where nothing is left to split", minimum=0)
    cell_reweigh_every: int = setting(
        5, help="steps between changes of the weights of unsafe rows", minimum=1
    )
    cell_reweigh_rate: float = setting(0.2, help="size of such a change", minimum=0)
    cell_mixes: str = setting(
        "0.3,0.7,1,1.5,3",
        help="multipliers of the unsafe half-space, relative to the rows, when arguments are bounded over it",
    )
    cell_elements: int = setting(
        1 << 18, help="numbers beyond which only some arguments of a cell are bounded so", minimum=1
    )
    cell_memory_share: float = setting(
        0.25, help="part of the memory that arguments bounded so may take", minimum=0.001, maximum=1
    )
    cell_candidates: int = setting(4, help="most hinges proposed for splitting", minimum=1)
    cell_chord: float = setting(
        0.3,
        help="weight of a hinge's height over its chord in its score, beside the error at the point found",
    )
    descent_points: int = setting(64, help="points of a batch that are taken downhill", minimum=0)
    descent_steps: int = setting(20, help="steps for them", minimum=0)
    descent_rate: float = setting(0.2, help="the first step, as a part of the box", minimum=0)
    descent_decay: float = setting(0.85, help="what remains of it after a step", minimum=0, maximum=1)

    def __post_init__(self) -> None:
        for name, read in (
            ("root_rounds", self.cases_of_rounds),
            ("patch_rounds", self.steps_and_splits_of_rounds),
            ("cell_mixes", self.mixes),
        ):
            try:
                known = len(read())
            except ValueError:
                known = 0
            if not known:
                text = getattr(self, name)
                default = type(self).__dataclass_fields__[name].default
                raise OptionError(f"option {name}={text!r}: expected numbers as in {default!r}")

    def cases_of_rounds(self) -> list[int | None]:
        """`root_rounds` as numbers of splits; None: plain bounds."""
        return [None if word == "plain" else int(word) for word in self.root_rounds.split(",")]

    def steps_and_splits_of_rounds(self) -> list[tuple[int, int]]:
        """`patch_rounds` as pairs."""
        pairs = (word.split(":") for word in self.patch_rounds.split(","))
        return [(int(steps), int(splits)) for steps, splits in pairs]

    def mixes(self) -> list[float]:
        """`cell_mixes` as numbers."""
        return [float(word) for word in self.cell_mixes.split(",")]

    @property
    def bytes(self) -> int:
        """`memory` in bytes."""
        return self.memory << 20
