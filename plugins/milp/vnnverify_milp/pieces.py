# SPDX-License-Identifier: Apache-2.0
"""Exact mixed-integer forms of a continuous piecewise-linear function and of a maximum.

A function with kinks k_1 < … < k_p and slopes s_0, …, s_p is

    f(z) = f(k_1) + s_0 (z − k_1) + Σ_i (s_i − s_{i−1}) relu(z − k_i),

and each relu whose sign the bounds leave open costs one binary.

Source: Tjeng, Xiao, Tedrake, arXiv:1711.07356, sections 4.1 and 4.2.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from vnnverify.ir import Elementwise
from vnnverify_milp.program import Array, Expression, Program, joined, rounding

__all__ = ["maximum", "piecewise"]

WIDENING = 1e-7
"""Relative and absolute widening of the bounds that become ends of columns and big-M constants. The
bounds are valid as they are, but a solver that works with tolerances must not meet them as walls: a
neuron whose bounds are tight to the last bit would make it call a feasible program infeasible."""

Index = npt.NDArray[np.intp]


def widened(low: Array, high: Array) -> tuple[Array, Array]:
    """Bounds moved outward by `WIDENING`."""
    return low - WIDENING * (1 + np.abs(low)), high + WIDENING * (1 + np.abs(high))


def piecewise(program: Program, op: Elementwise, x: Expression, low: Array, high: Array) -> Expression:
    """f(x) for sound bounds low <= x <= high. Elements on which f is constant get no column."""
    kinks = np.array(op.kinks, dtype=np.float64)
    slopes = _slopes(op, kinks)
    piece = np.minimum(np.searchsorted(kinks, low, side="right"), np.searchsorted(kinks, high, side="left"))
    single = np.searchsorted(kinks, low, side="right") >= np.searchsorted(kinks, high, side="left")
    varies = np.flatnonzero(~(single & (slopes[piece] == 0)))
    constant = op(torch.from_numpy((low + high) / 2)).numpy()  # right where f is constant
    error = rounding(op.ulps) * np.abs(constant)
    z = program.define(x.take(varies), *widened(low[varies], high[varies]))
    part = _sum_of_relus(program, op, kinks, slopes, z, low[varies], high[varies])
    constant[varies], error[varies] = part.constant, part.error
    place = sp.csr_array(
        (np.ones(varies.size), (varies, np.arange(varies.size))), shape=(low.size, varies.size)
    )
    return Expression(sp.csr_array(place @ part.matrix), constant, error)


def _slopes(op: Elementwise, kinks: Array) -> Array:
    """The slope of each piece, taken in its interior: (pieces,)."""
    if not kinks.size:
        inner = [0.0]
    else:
        inner = [kinks[0] - 1.0, *((a + b) / 2 for a, b in pairwise(kinks)), kinks[-1] + 1.0]
    found: Array = op.derivative(torch.tensor(inner, dtype=torch.float64)).numpy()
    return found


def _sum_of_relus(
    program: Program, op: Elementwise, kinks: Array, slopes: Array, z: Index, low: Array, high: Array
) -> Expression:
    """f of columns z with sound bounds low <= z <= high."""
    start = float(kinks[0]) if kinks.size else 0.0
    base = float(op(torch.tensor(start, dtype=torch.float64)))
    on_z = np.full(z.size, slopes[0])
    constant = np.full(z.size, base - slopes[0] * start)
    size = abs(base) + abs(slopes[0]) * (program.reach[z] + abs(start))
    parts = []
    for kink, change in zip(kinks, np.diff(slopes), strict=True):
        active, open_ = low >= kink, (low < kink) & (high > kink)
        on_z = on_z + change * active
        constant = constant - change * kink * active
        size = size + abs(change) * (program.reach[z] + abs(kink)) * (active | open_)
        a = relu(program, z[open_], kink, low[open_], high[open_])
        parts.append((np.flatnonzero(open_), a, change))
    matrix = program.pick(z, on_z)
    for row, a, change in parts:
        values = np.full(row.size, change)
        matrix = matrix + sp.csr_array((values, (row, a)), shape=matrix.shape)
    exact = kinks.size == 1 and start == 0 and slopes[0] == 0 and base == 0  # as for relu
    error = np.zeros(z.size) if exact else rounding(2 * kinks.size + 4 + op.ulps) * size
    return Expression(sp.csr_array(matrix), constant, error)


def relu(program: Program, z: Index, kink: float, low: Array, high: Array) -> Index:
    """Columns a = relu(z − k) for sound bounds low < k < high of columns z, with one binary δ each.

    a >= z − k,  a >= 0,  a <= z − k − (low − k)(1 − δ),  a <= (high − k) δ
    """
    low, high = widened(low, high)
    below, above = np.nextafter(low - kink, -np.inf), np.nextafter(high - kink, np.inf)
    a = program.add_columns(np.zeros(z.size), above)
    d = program.add_columns(np.zeros(z.size), np.ones(z.size), integer=True)
    inf = np.full(z.size, np.inf)
    over = program.pick(a) - program.pick(z)
    program.add_rows(over, np.full(z.size, -kink), inf)
    program.add_rows(over - program.pick(d, below), -inf, np.nextafter(-kink - below, np.inf))
    program.add_rows(program.pick(a) - program.pick(d, above), -inf, np.zeros(z.size))
    return a


def maximum(program: Program, x: Expression, low: Array, high: Array, groups: Index) -> Expression:
    """The largest member of each group (outputs, k) of indices into x, for sound bounds low <= x <= high.

    m >= x_i,  m <= x_i + (max high − low_i)(1 − δ_i),  Σ δ_i = 1 over the members that can be the
    largest; a group with one such member is that member.
    """
    groups = np.sort(groups, axis=1)
    best = np.take_along_axis(groups, low[groups].argmax(axis=1)[:, None], axis=1)  # (outputs, 1)
    first = np.diff(groups, axis=1, prepend=-1) > 0  # a repeated member counts once
    rival = first & ((groups == best) | (high[groups] > low[best]))
    several = np.flatnonzero(rival.sum(axis=1) > 1)
    row, slot = rival[several].nonzero()  # one entry per member and group
    member = groups[several][row, slot]
    used, where = np.unique(member, return_inverse=True)
    low_w, high_w = widened(low, high)
    z = program.define(x.take(used), low_w[used], high_w[used])[where]
    top = high_w[groups[several]].max(axis=1, initial=-np.inf)
    m = program.add_columns(low_w[groups[several]].max(axis=1, initial=-np.inf), top)
    d = program.add_columns(np.zeros(z.size), np.ones(z.size), integer=True)
    gap = np.nextafter(top[row] - low_w[member], np.inf)
    inf = np.full(z.size, np.inf)
    over = program.pick(m[row]) - program.pick(z)
    program.add_rows(over, np.zeros(z.size), inf)
    program.add_rows(over + program.pick(d, gap), -inf, gap)
    one = np.ones(several.size)
    program.add_rows(sp.csr_array((np.ones(z.size), (row, d)), shape=(one.size, program.columns)), one, one)
    zero = np.zeros(several.size)
    index = best[:, 0].copy()
    index[several] = x.constant.size + np.arange(several.size)
    return joined(program, [x, Expression(program.pick(m), zero, zero)]).take(index)
