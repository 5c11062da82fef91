# SPDX-License-Identifier: Apache-2.0
"""The big-M encoding of a ReLU network on HiGHS, through scipy: is a polytope reached from a box?

Source: Tjeng, Xiao and Tedrake, Evaluating Robustness of Neural Networks with Mixed Integer
Programming, ICLR 2019.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse
from dense_network import Array, Network, Zonotope
from scipy.optimize import Bounds, LinearConstraint, milp

__all__ = ["SLACK", "Rows", "solve"]

SLACK = 1e-6  # ten times HiGHS' feasibility tolerance
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rows:
    """over_x·x + over_y·y <= bound."""

    over_x: Array  # (rows, n)
    over_y: Array  # (rows, m)
    bound: Array  # (rows,)


@dataclass(slots=True)
class _Program:
    """Columns with their ends and kinds, and blocks of rows: low <= Σ matrix·columns <= high."""

    lower: list[Array] = field(default_factory=list)
    upper: list[Array] = field(default_factory=list)
    whole: list[Array] = field(default_factory=list)
    blocks: list[tuple[dict[int, Array], Array, Array]] = field(default_factory=list)
    width: int = 0

    def columns(self, lower: Array, upper: Array, *, whole: bool = False) -> int:
        """Add variables; returns the first one's column."""
        start = self.width
        self.lower.append(lower)
        self.upper.append(upper)
        self.whole.append(np.full(lower.size, float(whole)))
        self.width += lower.size
        return start

    def rows(self, parts: dict[int, Array], low: Array | None, high: Array | None) -> None:
        """Add rows: each matrix of `parts` stands at its first column."""
        size = next(iter(parts.values())).shape[0]
        none = np.full(size, np.inf)
        self.blocks.append((parts, -none if low is None else low, none if high is None else high))

    def constraint(self) -> LinearConstraint:
        """All rows as one sparse matrix."""
        matrices = []
        for parts, low, _ in self.blocks:
            block = scipy.sparse.lil_matrix((low.size, self.width))
            for column, matrix in parts.items():
                block[:, column : column + matrix.shape[1]] = matrix
            matrices.append(block)
        low, high = (np.concatenate([block[k] for block in self.blocks]) for k in (1, 2))
        return LinearConstraint(scipy.sparse.vstack(matrices).tocsr(), low, high)


def solve(
    network: Network, lower: Array, upper: Array, rows: Rows, over_input: tuple[Array, Array] | None
) -> tuple[str, Array | None]:
    """`unsat`, `sat` with the point x found, or `open`.

    The largest t such that all rows hold with t to spare is sought; `unsat` if HiGHS bounds it below
    −SLACK, `sat` if one above SLACK is found.

    Args:
        over_input: further rows A x <= b.
    """
    program = _Program()
    x = program.columns(lower, upper)
    before = x
    bounds = Zonotope(network, lower, upper).pre
    for (W, b), (low, high) in zip(network[:-1], bounds, strict=False):
        one = np.eye(len(b))
        z = program.columns(np.zeros(len(b)), np.maximum(high, 0))
        d = program.columns((low >= 0).astype(float), (high > 0).astype(float), whole=True)
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        program.rows({before: -W, z: one}, b, None)  # z >= W x + b
        program.rows({before: -W, z: one, d: -np.diag(low)}, None, b - low)  # z <= W x + b − low·(1 − d)
        program.rows({z: one, d: -np.diag(high)}, None, np.zeros(len(b)))  # z <= high·d
        before = z
    W, b = network[-1]
    y = program.columns(*bounds[-1])
    t = program.columns(np.array([-1e3]), np.array([1.0]))
    program.rows({before: W, y: -np.eye(len(b))}, -b, -b)
    program.rows({x: rows.over_x, y: rows.over_y, t: np.ones((rows.bound.size, 1))}, None, rows.bound)
    if over_input is not None:
        program.rows({x: over_input[0]}, None, over_input[1])
    objective = np.zeros(program.width)
    objective[t] = -1.0
    answer = milp(
        objective,
        constraints=program.constraint(),
        bounds=Bounds(np.concatenate(program.lower), np.concatenate(program.upper)),
        integrality=np.concatenate(program.whole),
        options={"time_limit": SECONDS},
    )
    if answer.status == 2 or (answer.mip_dual_bound is not None and answer.mip_dual_bound > SLACK):
        return "unsat", None
    if answer.x is not None and -answer.fun > SLACK:
        return "sat", answer.x[: lower.size]
    return "open", None
