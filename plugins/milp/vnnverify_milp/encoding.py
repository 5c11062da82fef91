# SPDX-License-Identifier: Apache-2.0
"""A piecewise-linear graph over one box as rows and columns of a mixed-integer program.

Affine maps are composed; a column stands for the argument of a nonlinear element, and a binary for
each open question: on which side of a kink, which member of a maximum.

Source: Tjeng, Xiao, Tedrake, arXiv:1711.07356.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from vnnverify import Deadline, Support
from vnnverify.domains import Domain, propagate
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Affine, Elementwise, Graph, Maximum, Node, Value
from vnnverify.obstacle import Obstacle
from vnnverify_milp.pieces import maximum, piecewise
from vnnverify_milp.program import Array, Expression, Program, joined, transformed

__all__ = ["Bounds", "Encoding", "domain", "encode", "ends", "supports"]

CHUNK = 1 << 22
"""Elements of one dense piece of an affine map while it is turned into a sparse matrix: 32 MiB."""

Bounds = Mapping[Value, tuple[Tensor, Tensor]]
domain: Domain[[Sequence[Expression], Node, Program, Bounds, Deadline], Expression] = Domain("milp")


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """The program of a graph over a box, and where its inputs and outputs are."""

    program: Program
    inputs: npt.NDArray[np.intp]  # (n,) columns
    outputs: Expression  # (m,)


def supports(graph: Graph) -> Support:
    """Whether every operator, or its parts, can be encoded exactly."""
    try:
        for node in domain.prepare(graph).nodes:
            if isinstance(node.op, Elementwise) and node.op.kinks is None:
                raise UnsupportedOperator(node.name, node.op.kind, "milp")
    except UnsupportedOperator as error:
        return Support.no(f"{error}, which is not piecewise linear and continuous", Obstacle.of(error))
    return Support.yes()


def encode(graph: Graph, bounds: Bounds, deadline: Deadline, whole: Collection[int] = ()) -> Encoding:
    """The program of a prepared float64 graph.

    Args:
        whole: inputs that hold whole numbers only.
        bounds: finite, sound float64 bounds (*shape) of every input of the graph and of a nonlinear node.

    Raises:
        OutOfTime: the deadline came first.
        UnsupportedOperator: an operator cannot be encoded.
    """
    program = Program()
    known: dict[Value, Expression] = {}
    columns = []
    for value in graph.inputs:
        index = program.add_columns(*ends(bounds[value]))
        zero = np.zeros(value.size)
        known[value] = Expression(program.pick(index), zero, zero)
        columns.append(index)
    inputs = np.concatenate(columns)
    program.integer[inputs[sorted(whole)]] = True
    known = propagate(domain, graph, known, program, bounds, deadline)
    outputs = joined(program, [known[v] for v in graph.outputs])
    return Encoding(program, inputs, outputs)


def ends(pair: tuple[Tensor, Tensor]) -> tuple[Array, Array]:
    """Bounds (*shape) as two flat arrays."""
    low, high = (end.detach().cpu().to(torch.float64).flatten().numpy() for end in pair)
    return low, high


@domain.rule(Affine)
def _affine(
    op: Affine, args: Sequence[Expression], node: Node, program: Program, bounds: Bounds, deadline: Deadline
) -> Expression:
    """Rows that are equal to the operator, relaxed by the rounding of its sums."""
    offset = np.zeros(node.output.size)
    b = op.offset if node.inputs else op()[0]
    if b is not None:
        offset = b.detach().expand(node.output.shape).flatten().numpy().astype(np.float64)
    weights = copies(op, node) if op.fan_in == 0 else matrices(op, node, deadline)
    return transformed(program, weights, list(args), offset, op.fan_in + 2)


def copies(op: Affine, node: Node) -> list[sp.csr_array]:
    """The matrices of an operator that only copies elements: push the elements' numbers through it."""
    numbers, start = [], 1
    for value in node.inputs:
        count = torch.arange(start, start + value.size, dtype=torch.float64)
        numbers.append(count.reshape(1, *value.shape))
        start += value.size
    if not numbers:
        return []
    source = op.linear(*numbers).flatten().numpy().astype(np.intp)
    row = source.nonzero()[0]
    found = sp.csr_array((np.ones(row.size), (row, source[row] - 1)), shape=(node.output.size, start - 1))
    sizes = np.cumsum([0, *(value.size for value in node.inputs)])
    return [sp.csr_array(found[:, a:b]) for a, b in pairwise(sizes)]


def matrices(op: Affine, node: Node, deadline: Deadline) -> list[sp.csr_array]:
    """The matrix of an affine operator for each of its inputs, from its adjoint on unit rows.

    Raises:
        OutOfTime: the deadline came first.
    """
    size, shapes = node.output.size, [value.shape for value in node.inputs]
    widest = max(size, *(value.size for value in node.inputs))
    step = max(1, CHUNK // widest)
    parts: list[list[sp.csr_array]] = [[] for _ in node.inputs]
    for start in range(0, size, step):
        deadline.check()
        count = min(step, size - start)
        unit = torch.zeros(count, size, dtype=torch.float64)
        unit[torch.arange(count), torch.arange(start, start + count)] = 1.0
        rows = op.adjoint(unit.reshape(count, *node.output.shape), *shapes)
        for found, back in zip(parts, rows, strict=True):
            found.append(sp.csr_array(back.detach().reshape(count, -1).numpy()))
    return [sp.csr_array(sp.vstack(found)) for found in parts]


@domain.rule(Elementwise)
def _elementwise(
    op: Elementwise,
    args: Sequence[Expression],
    node: Node,
    program: Program,
    bounds: Bounds,
    deadline: Deadline,
) -> Expression:
    """Piecewise linear functions exactly, with binaries for the pieces in doubt; others are refused."""
    if op.kinks is None:
        raise UnsupportedOperator(node.name, node.op.kind, "milp")
    return piecewise(program, op, args[0], *ends(bounds[node.inputs[0]]))


@domain.rule(Maximum)
def _maximum(
    op: Maximum, args: Sequence[Expression], node: Node, program: Program, bounds: Bounds, deadline: Deadline
) -> Expression:
    """Exactly, with a binary for each member of a group that can be the largest."""
    pairs = [ends(bounds[value]) for value in node.inputs]
    low, high = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
    groups = op.groups(*(value.shape for value in node.inputs)).numpy()
    return maximum(program, joined(program, args), low, high, groups)
