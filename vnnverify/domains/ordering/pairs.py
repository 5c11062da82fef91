# SPDX-License-Identifier: Apache-2.0
"""Two values that are the same function of two arguments, of which one is known to be no less.

f(a) − f(b) then lies between the least and the greatest slope of f, times a − b. Of a maximum, or a sum with
weights of known signs, it has a sign.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

from vnnverify.domains.ordering.form import Form
from vnnverify.domains.ordering.structure import ONE, ZERO, Element, Structure, fields_of
from vnnverify.ir.op import Affine, Elementwise, Maximum, Op
from vnnverify.ops.softmax import LogSoftmax, Softmax

__all__ = ["PARTNERS", "Comparison", "ordered", "set_against_others"]

PARTNERS = 8
"""Other arguments of the same function that one is compared with."""


class Comparison(Protocol):
    """What two values are compared by: `Ordering`, as far as it is needed here."""

    structure: Structure

    def holds(self, form: Form, depth: int) -> bool:
        """Whether the form is nowhere negative, shown by at most `depth` further questions."""
        ...

    def ends(self, element: Element) -> tuple[float, float]:
        """The ends of the element's interval."""
        ...


def ordered(ordering: Comparison, first: Element, second: Element, depth: int) -> bool:
    """Whether first >= second everywhere."""
    return ordering.holds(_gap(ordering, first, second), depth - 1)


def set_against_others(
    ordering: Comparison, form: Form, element: Element, coefficient: Fraction, depth: int
) -> Fraction:
    """Set a term that was taken out of a form against those with the opposite sign and the same function, and
    put what their difference is nowhere less than in their place. Returns what is left of the coefficient."""
    op = ordering.structure.node[element[0]].op
    if isinstance(op, Softmax | LogSoftmax):
        return _in_group(ordering, form, element, coefficient, depth)
    if not _comparable(op):
        return coefficient
    for other in _partners(ordering, form, element, coefficient):
        if not coefficient:
            break
        greater, less = (element, other) if coefficient > 0 else (other, element)
        bound = _difference(ordering, greater, less, depth)
        if bound is not None:
            coefficient = _cancel(form, coefficient, other, bound)
    return coefficient


def _cancel(form: Form, coefficient: Fraction, other: Element, bound: Form) -> Fraction:
    """As much of a term and another one as they have in common is replaced; returns what is left."""
    amount = min(abs(coefficient), abs(form.terms[other]))
    sign = 1 if coefficient > 0 else -1
    form.add(other, sign * amount)
    form.add_all(bound, amount)
    return coefficient - sign * amount


def _comparable(op: Op) -> bool:
    if isinstance(op, Elementwise):
        least, most = op.steepness
        return least >= 0 or math.isfinite(most)
    return isinstance(op, Affine | Maximum)


def _partners(ordering: Comparison, form: Form, element: Element, coefficient: Fraction) -> list[Element]:
    """The elements to compare with, those in the same place first."""
    structure, place = ordering.structure, element[1]
    op = structure.node[element[0]].op
    identity = structure.identity(op)
    found = [
        other
        for other, c in form.terms.items()
        if (c > 0) != (coefficient > 0)
        and other[0] in structure.node
        and structure.identity(structure.node[other[0]].op) == identity
    ]
    own = isinstance(op, Affine) or any(isinstance(p, Tensor) and p.numel() > 1 for p in fields_of(op))
    if own:  # each place has parameters of its own
        found = [other for other in found if other[1] == place]
    found.sort(key=lambda other: (other[1] != place, other[1]))
    return found[:PARTNERS]


def _gap(ordering: Comparison, first: Element, second: Element) -> Form:
    form = Form(ordering.structure)
    form.add(first, ONE)
    form.add(second, -ONE)
    return form


def _difference(ordering: Comparison, first: Element, second: Element, depth: int) -> Form | None:
    """A form that is nowhere larger than first − second, two values of one function; None if none is
    known."""
    structure = ordering.structure
    a, b = structure.node[first[0]], structure.node[second[0]]
    nothing = Form(structure)
    match a.op:
        case Maximum():
            mine, theirs = structure.members(first), structure.members(second)
            beaten = all(
                any(ordered(ordering, m, t, depth) for m in _nearest(mine, k)) for k, t in enumerate(theirs)
            )
            return nothing if beaten else None
        case Affine():
            mine_, theirs_ = structure.weights(first), structure.weights(second)
            if [(k, w) for (_, k), w in mine_] != [(k, w) for (_, k), w in theirs_]:
                return None
            grows = all(
                ordered(ordering, *((x, y) if w > 0 else (y, x)), depth)
                for (x, w), (y, _) in zip(mine_, theirs_, strict=True)
            )
            return nothing if grows else None
        case Elementwise() as op:
            least, most = op.steepness
    if not all(any(map(math.isfinite, ordering.ends(e))) for e in (first, second)):  # it may be NaN
        return None
    gap = _gap(ordering, (a.inputs[0], first[1]), (b.inputs[0], second[1]))
    if least >= 0 and ordering.holds(gap, depth - 1):
        return gap.scaled(Fraction(least))
    if math.isfinite(most) and ordering.holds(gap.scaled(-ONE), depth - 1):
        return gap.scaled(Fraction(most))
    return None


def _nearest(elements: list[Element], k: int) -> list[Element]:
    """The elements, the one at place k first."""
    return [*elements[k : k + 1], *elements[:k], *elements[k + 1 :]][:PARTNERS]


def _in_group(
    ordering: Comparison, form: Form, element: Element, coefficient: Fraction, depth: int
) -> Fraction:
    """The same for members of one softmax, which are ordered as their arguments are. A difference of
    logarithms is that of the arguments. What is left of a whole softmax sums up to one."""
    value, place = element
    node = ordering.structure.node[value]
    op = node.op
    assert isinstance(op, Softmax | LogSoftmax)
    places = torch.arange(value.size).reshape(value.shape).movedim(op.axis, -1)
    groups = places.reshape(-1, value.shape[op.axis])
    own = groups[(groups == place).any(dim=1)][0].tolist()
    for k in own:
        has = form.terms.get((value, k), ZERO)
        if not coefficient or not has or (has > 0) == (coefficient > 0):
            continue
        greater, less = (place, k) if coefficient > 0 else (k, place)
        gap = _gap(ordering, (node.inputs[0], greater), (node.inputs[0], less))
        if isinstance(op, LogSoftmax):
            coefficient = _cancel(form, coefficient, (value, k), gap)
        elif ordering.holds(gap, depth - 1):
            coefficient = _cancel(form, coefficient, (value, k), Form(ordering.structure))
    if isinstance(op, LogSoftmax) or not coefficient:
        return coefficient
    least = min(coefficient, *(form.terms.get((value, k), ZERO) for k in own if k != place))
    if least:  # Σ c_k p_k = least + Σ (c_k − least) p_k
        form.constant += least
        for k in own:
            if k != place:
                form.add((value, k), -least)
        coefficient -= least
    return coefficient
