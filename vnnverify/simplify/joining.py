# SPDX-License-Identifier: Apache-2.0
"""Functions that a model writes out step by step become one node each.

What is recognised is exact: coefficients are the fractions that the model stands for, reciprocals included
(`Scale.source`). They are rounded in two places only. In a scaling, whose bounds count roundings of its
constants relative to these; it keeps the fractions, for what is recognised later on. And in the parameters
of functions whose errors count that, as `gates` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Op
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.choice import Choice
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import Log, Reciprocal, Sqrt
from vnnverify.ops.steps import Step
from vnnverify.ops.sums import Sum
from vnnverify.simplify.elementary import elementary
from vnnverify.simplify.exactness import can_be_rounded, source_of
from vnnverify.simplify.forms import ONE, Form, Forms, applied, minus, plus, times
from vnnverify.simplify.gates import Term, gated
from vnnverify.simplify.rewrite import producers

__all__ = ["join_functions"]

_ENDS = (Mul, Sum, Choice, Log, Reciprocal, Relu, Sqrt)
"""Operators with which a function that is written out can end."""


def join_functions(graph: Graph) -> Graph:
    """Each value that is one function of another as that function: closer bounds, and fewer nodes."""
    forms, made = Forms(graph), producers(graph)
    nodes: list[Node] = []
    changed = False
    for node in graph.nodes:
        form = forms.of(node)
        terms = _terms(node, form, made)
        written = _written(node, terms, forms) if terms else None
        if isinstance(node.op, Scale) and written and written[0].inputs == node.inputs:
            written = None  # what it scales cannot be traced any further
        if written is not None and terms:
            changed = True
            form = _total(terms)
        for one in written or [node]:
            if one.output is not node.output:
                forms.enter(one.output, forms.of(one))
            nodes.append(one)
        forms.enter(node.output, form)
    return graph.with_nodes(nodes) if changed else graph


def _terms(node: Node, form: Form, made: dict[Value, Node]) -> list[Term] | None:
    """The functions that the form of a node is the sum of; None if it is as it should be."""
    straight = [Term(Fraction(1), None, form)]
    if isinstance(node.op, Scale):
        before = made.get(node.inputs[0])
        return straight if before is not None and _only_scales(before.op) else None
    if not isinstance(node.op, _ENDS):
        return None
    terms = gated(form) or elementary(form)
    if not isinstance(node.op, Sum):
        return terms
    if terms is not None and any(not isinstance(term.op, Step | None) for term in terms):
        return terms  # else it adds up these very terms already
    return straight if len(set(form) - {ONE}) == 1 else None


def _only_scales(op: Op) -> bool:
    return isinstance(op, Scale) and (op.shift is None or not bool(op.shift.any()))


def _total(terms: Sequence[Term]) -> Form:
    total: Form = {}
    for term in terms:
        part = term.argument if term.op is None else applied(term.op, term.argument)
        total = plus(total, part, term.factor)
    return total


def _written(node: Node, terms: Sequence[Term], forms: Forms) -> list[Node] | None:
    """Nodes that compute the terms from what is known already; None if an argument is not, or if a
    coefficient is so large or small that its rounding would not be relative to it."""
    added: list[Node] = []

    def add(op: Op, *inputs: Value, last: bool = False) -> Value:
        output = node.output if last else Value(f"{node.output.name}/{len(added)}", node.output.shape)
        added.append(Node(op, inputs, output, node.name))
        return output

    several = len(terms) > 1
    parts: list[Value] = []
    for term in terms:
        x, a, b = _origin(term.argument, forms, node.output)
        if x is None:
            return None
        if not can_be_rounded(a, b, term.factor, a * term.factor, b * term.factor):
            return None
        plain = term.factor == 1 and term.op is not None and not several
        if term.op is None:
            a, b = a * term.factor, b * term.factor
            parts.append(add(_scale(a, b, node.output), x, last=not several))
            continue
        x = x if a == 1 and not b else add(_scale(a, b, node.output), x)
        x = add(term.op, x, last=plain)
        parts.append(
            x if term.factor == 1 else add(_scale(term.factor, Fraction(0), node.output), x, last=not several)
        )
    if several:
        add(Sum((1,) * len(parts)), *parts, last=True)
    return added


def _origin(form: Form, forms: Forms, like: Value) -> tuple[Value | None, Fraction, Fraction]:
    """(x, a, b) with form = a·x + b for a value x that is there; (None, …) without one."""
    known = forms.known(form, like)
    if known is not None:
        return known, Fraction(1), Fraction(0)
    shift = form.get(ONE, Fraction(0))
    rest = minus(form, {ONE: shift}) if shift else form
    if not rest:
        return None, Fraction(0), Fraction(0)
    factor = next(iter(rest.values()))
    return forms.known(times({ONE: 1 / factor}, rest), like), factor, shift


def _scale(factor: Fraction, shift: Fraction, like: Value) -> Scale:
    """factor·x + shift, each rounded once."""
    s, t = (
        None if part == neutral else torch.full((1,) * len(like.shape), float(part), dtype=torch.float64)
        for part, neutral in ((factor, 1), (shift, 0))
    )
    return Scale(s, t, source_of(factor, shift))
