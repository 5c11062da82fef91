# SPDX-License-Identifier: Apache-2.0
"""A graph number by number: what each element is computed from, with exact constants."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from fractions import Fraction

import torch
from torch import Tensor

from vnnverify.domains.ordering.effort import Effort
from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Affine, Maximum, Op, flat
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import Linear, SparseLinear
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import AveragePool, ReduceSum, Sum

__all__ = ["ONE", "ZERO", "Element", "Structure", "fields_of"]

Element = tuple[Value, int]
"""One number of a graph: a value, and a place in it flattened."""

ZERO, ONE = Fraction(0), Fraction(1)

Row = tuple[list[tuple[Element, Fraction]], Fraction]
"""The coefficients and the constant of one element."""


class Structure:
    """Looks elements up.

    Args:
        graph: with parameters in float64.
    """

    def __init__(self, graph: Graph, effort: Effort) -> None:
        self.effort = effort
        self.node = {node.output: node for node in graph.nodes}
        self.rank: dict[Value, tuple[bool, int, int]] = dict.fromkeys(graph.inputs, (False, 0, -1))
        """In which order values are rewritten: the greatest first. What is substituted exactly comes before
        what is not, and that by how many nonlinear operators lie below."""
        for k, node in enumerate(graph.nodes):
            exact = is_exact(node.op)
            depth = max((self.rank[v][1] for v in node.inputs), default=0) + (not exact)
            self.rank[node.output] = exact, depth, k
        self._rows: dict[Element, Row] = {}
        self._sources: dict[Element, tuple[Fraction, Element, Fraction]] = {}
        self._parts: dict[Element, list[tuple[Element, Fraction]]] = {}
        self._identities: dict[Op, Hashable] = {}
        self._groups: dict[Node, list[list[int]]] = {}

    def source(self, element: Element) -> tuple[Fraction, Element, Fraction]:
        """(f, e, t) with element = f·e + t, where e is no copy and not scaled."""
        known = self._sources.get(element)
        if known is None:
            known = self._sources[element] = self._find_source(element)
        return known

    def _find_source(self, element: Element) -> tuple[Fraction, Element, Fraction]:
        factor, shift = ONE, ZERO
        while True:
            node = self.node.get(element[0])
            if node is None or not (isinstance(node.op, Affine) and node.op.fan_in <= 1 and node.inputs):
                return factor, element, shift
            if not is_exact(node.op):
                return factor, element, shift
            terms, add = self.row(element)
            if len(terms) > 1:
                return factor, element, shift
            shift += factor * add
            if not terms:
                return ZERO, element, shift
            ((element, coefficient),) = terms
            factor *= coefficient

    def row(self, element: Element) -> Row:
        """What an element of an affine node whose constants are exact is in the node's inputs."""
        known = self._rows.get(element)
        if known is None:
            known = self._rows[element] = self._find_row(element)
        return known

    def _find_row(self, element: Element) -> Row:
        value, place = element
        node = self.node[value]
        op = node.op
        assert isinstance(op, Affine)
        add = ZERO
        if op.offset is not None:
            add = Fraction(float(flat(op.offset.expand(1, *value.shape))[0, place]))
        if isinstance(op, Scale):
            factor = ONE if op.scale is None else flat(op.scale.expand(1, *value.shape))[0, place].item()
            return [((node.inputs[0], place), Fraction(factor))], add
        return [(e, _exact_weight(op, w)) for e, w in self.weights(element)], add

    def parts(self, element: Element) -> list[tuple[Element, Fraction]]:
        """What an element adds up, down to what is no sum; itself if it is none."""
        if element not in self._parts:
            total: dict[Element, Fraction] = {}
            pending = [(element, ONE)]
            while pending:
                current, weight = pending.pop()
                factor, source, _ = self.source(current)
                node = self.node.get(source[0])
                if node is not None and is_exact(node.op):
                    pending.extend((e, weight * factor * w) for e, w in self.row(source)[0])
                else:
                    total[source] = total.get(source, ZERO) + weight * factor
            self._parts[element] = [(e, w) for e, w in total.items() if w]
        return self._parts[element]

    def weights(self, element: Element) -> list[tuple[Element, float]]:
        """The weights other than zero of one element of an affine node, as stored. Of a single output no
        weight is added to another, so that none is rounded."""
        value, place = element
        node = self.node[value]
        op = node.op
        assert isinstance(op, Affine)
        if not node.inputs:
            return []
        unit = torch.zeros(1, value.size, dtype=torch.float64)
        unit[0, place] = 1
        rows = op.adjoint(unit.reshape(1, *value.shape), *(v.shape for v in node.inputs))
        found: list[tuple[Element, float]] = []
        for source, row in zip(node.inputs, rows, strict=True):
            weights = flat(row)[0]
            used = weights.nonzero()[:, 0]
            self.effort.spend(used.numel() + weights.numel() // 64)
            pairs = zip(used.tolist(), weights[used].tolist(), strict=True)
            found.extend(((source, k), w) for k, w in pairs)
        return found

    def members(self, element: Element) -> list[Element]:
        """The elements of which one element of a maximum is the largest."""
        node = self.node[element[0]]
        if node not in self._groups:
            assert isinstance(node.op, Maximum)
            self._groups[node] = node.op.groups(*(v.shape for v in node.inputs)).tolist()
        indices = dict.fromkeys(self._groups[node][element[1]])
        self.effort.spend(len(indices))
        found = []
        for index in indices:
            for value in node.inputs:
                if index < value.size:
                    found.append((value, index))
                    break
                index -= value.size
        return found

    def identity(self, op: Op) -> Hashable:
        """Equal for operators that are the same function."""
        known = self._identities.get(op)
        if known is None:
            rounded = bool(getattr(op, "roundings", 0))  # of equal numbers, or of different ones
            known = (id(op),) if rounded else (type(op), *map(_key, fields_of(op)))
            self._identities[op] = known
        return known


def is_exact(op: Op) -> bool:
    """Whether an operator is affine and its constants are known exactly, so that it may be substituted."""
    if not isinstance(op, Affine):
        return False
    if isinstance(op, Scale):
        return op.source is None
    if isinstance(op, Linear | SparseLinear | Conv | ConvTranspose):
        return op.roundings == 0
    return op.fan_in == 0 or isinstance(op, Sum | ReduceSum | AveragePool)


def _exact_weight(op: Affine, weight: float) -> Fraction:
    """What a weight stands for: those of averages for the reciprocal of a count."""
    if isinstance(op, ReduceSum | AveragePool) and 0 < weight < 1:
        count = round(1 / weight)
        if 1.0 / count == weight:
            return Fraction(1, count)
    return Fraction(weight)


def fields_of(op: Op) -> list[object]:
    """The operator's parameters."""
    return [getattr(op, field.name) for field in dataclasses.fields(op)]


def _key(value: object) -> Hashable:
    if not isinstance(value, Tensor):
        return value if isinstance(value, Hashable) else id(value)
    if value.is_sparse:
        return id(value)
    return value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes()
