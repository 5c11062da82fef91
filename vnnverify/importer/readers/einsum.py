# SPDX-License-Identifier: Apache-2.0
"""Einsum of one or two operands, as transpositions, sums and one stacked matrix product."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.product import stacked
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Select, Transpose
from vnnverify.ops.sums import ReduceSum

__all__: list[str] = []


@reads("Einsum")
def _einsum(node: NodeView) -> Operand:
    """Pair by pair from the left, each pair as a product of two stacks of matrices."""
    terms, output = _terms(node)
    operands = [x for x in node.inputs if x is not None]
    if len(terms) != len(operands):
        raise node.error(f"names {len(terms)} operands, has {len(operands)}")
    if len(set(output)) < len(output):
        raise node.error("names an axis of the result twice")
    parts = [_diagonal(node, x, term) for x, term in zip(operands, terms, strict=True)]
    x, letters = parts[0]
    for index in range(1, len(parts)):
        later = "".join(term for _, term in parts[index + 1 :])
        x, letters = _pair(node, (x, letters), parts[index], set(output) | set(later))
    x, letters = _without(node, x, letters, set(output))
    return _permuted(node, x, letters, output)


def _pair(
    node: NodeView, first: tuple[Operand, str], second: tuple[Operand, str], needed: set[str]
) -> tuple[Operand, str]:
    """The product of two operands, summed over the letters that nobody else needs."""
    (a, left), (b, right) = (
        _without(node, x, term, needed | set(other))
        for (x, term), (_, other) in ((first, second), (second, first))
    )
    size = dict(zip(left, a.shape, strict=True))
    for letter, n in zip(right, b.shape, strict=True):
        if size.setdefault(letter, n) != n:
            raise node.error(f"{letter!r} stands for {size[letter]} and for {n} elements")
    both = [k for k in left if k in right and k in needed]
    inner = [k for k in left if k in right and k not in needed]
    rows, columns = [k for k in left if k not in right], [k for k in right if k not in left]
    lead = tuple(size[k] for k in both)
    m, n, c = (prod(size[k] for k in group) for group in (rows, columns, inner))
    a = _shaped(node, _permuted(node, a, left, "".join(both + rows + inner)), (*lead, m, c))
    b = _shaped(node, _permuted(node, b, right, "".join(both + inner + columns)), (*lead, c, n))
    found = "".join(both + rows + columns)
    joined = (
        np.matmul(a, b) if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) else stacked(node, a, b)
    )
    return _shaped(node, joined, tuple(size[k] for k in found)), found


def _diagonal(node: NodeView, x: Operand, letters: str) -> tuple[Operand, str]:
    """x with each letter once: where there are several, their axes go along together."""
    once = "".join(dict.fromkeys(letters))
    if once == letters:
        return x, letters
    size = dict(zip(letters, x.shape, strict=True))
    if any(size[k] != n for k, n in zip(letters, x.shape, strict=True)):
        raise node.error(f"shape {x.shape} has no diagonal {letters!r}")
    axes = dict(zip(once, np.indices([size[k] for k in once]), strict=True))
    places = np.arange(prod(x.shape)).reshape(x.shape)[tuple(axes[k] for k in letters)]
    if isinstance(x, np.ndarray):
        return x.reshape(-1)[places], once
    return node.add(Select.of(torch.from_numpy(places), places.shape), x), once


def _terms(node: NodeView) -> tuple[list[str], str]:
    """The letters of each operand and of the output; dots are replaced by capital letters of their own."""
    equation = "".join(str(node.attribute("equation")).split())
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    if "..." in equation:
        spare = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
        ranks = [len(x.shape) for x in node.inputs if x is not None]
        extra = [rank - len(t.replace("...", "")) for rank, t in zip(ranks, terms, strict=True)]
        most = max(n for n, t in zip(extra, terms, strict=True) if "..." in t)
        if any(n != most for n, t in zip(extra, terms, strict=True) if "..." in t):
            raise node.unsupported("dots that stand for different numbers of axes")
        dots = "".join(spare[:most])
        terms = [t.replace("...", dots) for t in terms]
        output = output.replace("...", dots) if arrow else dots
    if not arrow:
        joined = "".join(terms)
        output += "".join(sorted(k for k in set(joined) if joined.count(k) == 1 and k not in output))
    return terms, output


def _without(node: NodeView, x: Operand, letters: str, needed: set[str]) -> tuple[Operand, str]:
    """x summed over the letters that nobody else needs."""
    axes = tuple(k for k, letter in enumerate(letters) if letter not in needed)
    if not axes:
        return x, letters
    rest = "".join(k for k in letters if k in needed)
    if isinstance(x, Value):
        return node.add(ReduceSum(axes, False, 1.0, prod(x.shape[k] for k in axes)), x), rest
    return np.asarray(x, dtype=np.float64).sum(axis=axes), rest


def _permuted(node: NodeView, x: Operand, letters: str, wanted: str) -> Operand:
    if letters == wanted:
        return x
    perm = tuple(letters.index(k) for k in wanted)
    return node.add(Transpose(perm), x) if isinstance(x, Value) else np.transpose(x, perm)


def _shaped(node: NodeView, x: Operand, shape: tuple[int, ...]) -> Operand:
    return node.reshaped(x, shape) if isinstance(x, Value) else np.asarray(x).reshape(shape)
