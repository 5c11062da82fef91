# SPDX-License-Identifier: Apache-2.0
"""A piecewise-linear graph over one box as rows and columns of a mixed-integer program.

A function with kinks k_1 < k_2 < … is f(x) = f(k_1) + s_0 (x − k_1) + Σ_i Δ_i relu(x − k_i), where
Δ_i is the change of slope at k_i; each relu whose sign the bounds leave open costs one binary.

Source: Tjeng, Xiao, Tedrake, arXiv:1711.07356.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Affine, Elementwise, Graph, Maximum, Node, Value
from vnnverify_milp.program import Expression, Program

__all__ = ["check", "encode"]

WIDENING = 1e-7
"""Relative and absolute widening of every bound before it becomes a big-M: bounds are valid already,
but a solver that works with tolerances must not meet them as tight walls."""

Bounds = Mapping[Value, tuple[Tensor, Tensor]]


def check(graph: Graph) -> None:
    """Whether every operator can be encoded.

    Raises:
        UnsupportedOperator: one cannot.
    """
    for node in graph.nodes:
        if isinstance(node.op, Elementwise) and node.op.kinks is not None:
            continue
        if not isinstance(node.op, Affine | Maximum):
            raise UnsupportedOperator(node.name, node.op.kind, "milp")


def encode(graph: Graph, bounds: Bounds) -> tuple[Program, np.ndarray, Expression]:
    """The program of a graph, the columns of its inputs (n,), and the expression of its outputs (m,).

    `bounds` holds sound float64 bounds of every value, without batch axis.
    """
    program = Program()
    known: dict[Value, Expression] = {}
    inputs = []
    for value in graph.inputs:
        low, high = (end.flatten().numpy() for end in bounds[value])
        columns = program.add_columns(low, high)
        known[value] = Expression(program.pick(columns), np.zeros(value.size))
        inputs.append(columns)
    for node in graph.nodes:
        args = [known[v] for v in node.inputs]
        if isinstance(node.op, Affine):
            known[node.output] = _affine(program, node, node.op, args)
        elif isinstance(node.op, Elementwise):
            known[node.output] = _piecewise(program, node.op, args[0], *_widened(bounds[node.inputs[0]]))
        else:
            assert isinstance(node.op, Maximum)
            known[node.output] = _maximum(program, node, node.op, args, bounds)
    matrix = sp.vstack([program.widen(known[v].matrix) for v in graph.outputs])
    constant = np.concatenate([known[v].constant for v in graph.outputs])
    return program, np.concatenate(inputs), Expression(sp.csr_array(matrix), constant)


def _widened(pair: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    low, high = (end.flatten().numpy() for end in pair)
    return low - WIDENING * (1 + np.abs(low)), high + WIDENING * (1 + np.abs(high))


def _affine(program: Program, node: Node, op: Affine, args: list[Expression]) -> Expression:
    size = node.output.size
    offset = np.zeros(size)
    if op.offset is not None:
        offset = op.offset.expand(node.output.shape).flatten().numpy()
    total = sp.csr_array((size, program.columns))
    shapes = [v.shape for v in node.inputs]
    parts: list[list[sp.csr_array]] = [[] for _ in args]
    for start in range(0, size, 256):
        count = min(256, size - start)
        unit = torch.zeros(count, size, dtype=torch.float64)
        unit[torch.arange(count), torch.arange(start, start + count)] = 1.0
        for k, back in enumerate(op.adjoint(unit.reshape(-1, *node.output.shape), *shapes) if args else ()):
            parts[k].append(sp.csr_array(back.reshape(count, -1).numpy()))
    for arg, blocks in zip(args, parts, strict=True):
        matrix = sp.csr_array(sp.vstack(blocks))
        total = total + matrix @ program.widen(arg.matrix)
        offset = offset + matrix @ arg.constant
    return Expression(sp.csr_array(total), offset)


def _piecewise(
    program: Program, op: Elementwise, x: Expression, low: np.ndarray, high: np.ndarray
) -> Expression:
    """The function as a sum of relus of a column z that stands for its argument."""
    kinks = list(op.kinks or ())
    z = program.add_columns(low, high)
    program.add_rows(program.pick(z) - program.widen(x.matrix), x.constant, x.constant)
    if not kinks:
        slope, origin = _slope(op, 0.0), float(op(torch.zeros((), dtype=torch.float64)))
        return Expression(program.pick(z, slope), np.full(len(z), origin))
    inner = [kinks[0] - 1.0, *((a + b) / 2 for a, b in itertools.pairwise(kinks)), kinks[-1] + 1.0]
    slopes = [_slope(op, point) for point in inner]
    base = float(op(torch.tensor(kinks[0], dtype=torch.float64)))
    matrix = program.pick(z, slopes[0])
    constant = np.full(len(z), base - slopes[0] * kinks[0])
    for kink, before, after in zip(kinks, slopes[:-1], slopes[1:], strict=True):
        part = _relu(program, z, kink, low - kink, high - kink)
        matrix = program.widen(matrix) + (after - before) * part.matrix
        constant = constant + (after - before) * part.constant
    return Expression(sp.csr_array(matrix), constant)


def _slope(op: Elementwise, point: float) -> float:
    return float(op.derivative(torch.tensor(point, dtype=torch.float64)))


def _relu(program: Program, z: np.ndarray, kink: float, low: np.ndarray, high: np.ndarray) -> Expression:
    """relu(z − kink) for low <= z − kink <= high: itself, zero, or a new column with one binary.

    a >= z − k,  a >= 0,  a <= z − k − low (1 − δ),  a <= high δ
    """
    active, open_ = low >= 0, (low < 0) & (high > 0)
    count = int(open_.sum())
    a = program.add_columns(np.zeros(count), high[open_])
    d = program.add_columns(np.zeros(count), np.ones(count), integer=True)
    inf = np.full(count, np.inf)
    z_open, l_open, u_open = z[open_], low[open_], high[open_]
    program.add_rows(program.pick(a) - program.pick(z_open), np.full(count, -kink), inf)
    program.add_rows(program.pick(a) - program.pick(z_open) - program.pick(d, l_open), -inf, -kink - l_open)
    program.add_rows(program.pick(a) - program.pick(d, u_open), -inf, np.zeros(count))
    place = np.zeros(len(z), dtype=np.int64)
    place[active] = z[active]
    place[open_] = a
    keep = (active | open_).astype(float)
    return Expression(program.pick(place, keep), np.where(active, -kink, 0.0))


def _maximum(program: Program, node: Node, op: Maximum, args: list[Expression], bounds: Bounds) -> Expression:
    """m >= x_i,  m <= x_i + (U − l_i)(1 − δ_i),  Σ δ_i = 1 over the members that can be the largest."""
    ends = [_widened(bounds[v]) for v in node.inputs]
    low, high = (np.concatenate([pair[k] for pair in ends]) for k in (0, 1))
    x = program.add_columns(low, high)
    matrix = sp.csr_array(sp.vstack([program.widen(arg.matrix) for arg in args]))
    constant = np.concatenate([arg.constant for arg in args])
    program.add_rows(program.pick(x) - program.widen(matrix), constant, constant)
    groups = op.groups(*(v.shape for v in node.inputs)).numpy()
    m = program.add_columns(low[groups].max(axis=1), high[groups].max(axis=1))
    for index, members in enumerate(groups):
        members = np.unique(members)
        rivals = members[high[members] >= low[members].max()]
        top = high[rivals].max()
        size = len(rivals)
        one = np.full(size, m[index])
        d = program.add_columns(np.zeros(size), np.ones(size), integer=True)
        inf = np.full(size, np.inf)
        program.add_rows(program.pick(one) - program.pick(x[rivals]), np.zeros(size), inf)
        gap = top - low[rivals]
        program.add_rows(program.pick(one) - program.pick(x[rivals]) + program.pick(d, gap), -inf, gap)
        total = sp.csr_array((np.ones(size), (np.zeros(size, dtype=int), d)), shape=(1, program.columns))
        program.add_rows(total, np.ones(1), np.ones(1))
    return Expression(program.pick(m), np.zeros(len(m)))
