# SPDX-License-Identifier: Apache-2.0
"""A domain is a table: operator class or trait -> transformer. And the walk that looks rules up.

Look-up order: a rule for that very operator, a rule for its trait, the operator's own parts,
else `UnsupportedOperator`. So a new operator owes nothing to any domain, and a new domain is about
five rules. What a rule takes beside its operator, and what it returns, is the type of its domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from vnnverify.errors import UnsupportedOperator
from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Op

__all__ = ["Domain", "inline", "propagate"]

E = TypeVar("E")  # an abstract element: encloses one value of the graph
P = ParamSpec("P")  # what a rule takes beside its operator
C = ParamSpec("C")  # what a rule of a forward walk takes beside operator, inputs and node
R = TypeVar("R")  # what a rule returns
K = TypeVar("K")  # the operators it is for


class Domain(Generic[P, R]):
    """A named table of rules. Register with `@domain.rule(Relu)` or `@domain.rule(Affine)`.

    A rule is called as `rule(op, *P) -> R`. So `Domain[[Sequence[Interval], Node], Interval]` is a table of
    functions that take an operator, the intervals of its inputs and its node, and return an interval.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rules: dict[type[Op], Callable[Concatenate[Any, P], R]] = {}

    def rule(self, *kinds: Any) -> Callable[[Callable[Concatenate[K, P], R]], Callable[Concatenate[K, P], R]]:
        """Decorator: the function becomes the rule of these operator classes or traits (`type[Op]`, also
        abstract ones, which mypy cannot express)."""

        def register(function: Callable[Concatenate[K, P], R]) -> Callable[Concatenate[K, P], R]:
            for kind in kinds:
                if kind in self._rules:
                    raise ValueError(f"domain {self.name!r} already has a rule for {kind.__name__}")
                self._rules[kind] = function
            return function

        return register

    def find(self, op: Op) -> Callable[Concatenate[Any, P], R] | None:
        """The most specific rule for `op`, or None."""
        for kind in type(op).__mro__:
            if kind in self._rules:
                return self._rules[kind]
        return None

    def rule_for(self, node: Node) -> Callable[Concatenate[Any, P], R]:
        """The rule for a node.

        Raises:
            UnsupportedOperator: there is none.
        """
        rule = self.find(node.op)
        if rule is None:
            raise UnsupportedOperator(node.name, node.op.kind, self.name)
        return rule

    def prepare(self, graph: Graph) -> Graph:
        """The graph with every operator that lacks a rule replaced by its parts, as far as needed.

        Raises:
            UnsupportedOperator: an operator has neither a rule nor parts.
        """
        nodes: list[Node] = []
        changed = False
        for node in graph.nodes:
            parts = None if self.find(node.op) else node.op.decompose(*(v.shape for v in node.inputs))
            if parts is None:
                self.rule_for(node)
                nodes.append(node)
            else:
                changed = True
                nodes.extend(inline(self.prepare(parts), node))
        return graph.with_nodes(nodes) if changed else graph


def propagate(
    domain: Domain[Concatenate[Sequence[E], Node, C], E],
    graph: Graph,
    elements: Mapping[Value, E],
    *context: C.args,
    **named: C.kwargs,
) -> dict[Value, E]:
    """Forward walk: elements of the inputs -> elements of every value.

    A rule is called as `rule(op, inputs, node, *context)` and returns the output's element.
    """
    known = dict(elements)
    for node in graph.nodes:
        args = [known[v] for v in node.inputs]
        known[node.output] = domain.rule_for(node)(node.op, args, node, *context, **named)
    return known


def inline(part: Graph, node: Node) -> list[Node]:
    """The nodes of `part`, wired to the inputs and output of `node`, which they replace."""
    wire: dict[Value, Value] = dict(zip(part.inputs, node.inputs, strict=True))
    wire[part.outputs[0]] = node.output
    return [
        Node(
            inner.op,
            tuple(wire.get(v, v) for v in inner.inputs),
            wire.get(inner.output, inner.output),
            node.name,
        )
        for inner in part.nodes
    ]
