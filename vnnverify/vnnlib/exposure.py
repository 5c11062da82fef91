# SPDX-License-Identifier: Apache-2.0
"""Further outputs of a graph: inputs that rows over outputs need, and terms that no row can hold."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate, chain

import torch

from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.arrangement import Concat, Reshape, Select
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.smooth import Power as PowerOp
from vnnverify.vnnlib.ast import Variable
from vnnverify.vnnlib.extremes import least_of_largest
from vnnverify.vnnlib.terms import Form, Least, NewTerm, Power, Product

__all__ = ["Exposure"]


class Exposure:
    """A graph that is given further outputs; `column` says which output each variable then is.

    Coefficients of terms are rounded to float64, which the domains count among the roundings of parameters.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = list(graph.nodes)
        self._outputs = list(graph.outputs)
        self._flat: dict[Value, Value] = {}
        self._values = {"X": graph.inputs, "Y": graph.outputs}
        self._starts = {
            kind: list(accumulate((v.size for v in values), initial=0))
            for kind, values in self._values.items()
        }
        self._terms: dict[int, tuple[Value, int]] = {}  # the value that holds a term, and where
        self._width = graph.output_size
        self.column = {Variable("Y", k): k for k in range(self._width)}

    @property
    def graph(self) -> Graph:
        """The graph with its further outputs."""
        if self._width == self._graph.output_size:
            return self._graph
        return self._graph.with_nodes(self._nodes, self._outputs)

    def inputs(self, indices: Iterable[int]) -> None:
        """Make some flat inputs outputs."""
        wanted = [Variable("X", index) for index in sorted(indices)]
        if wanted:
            self._expose(self._picked(wanted), wanted)

    def terms(self, terms: Sequence[NewTerm], used: set[int]) -> None:
        """Compute the terms; make those whose numbers are in `used` outputs."""
        levels: dict[int, list[int]] = {}
        depth: list[int] = []
        for number, term in enumerate(terms):
            inner = [depth[v.index] for v in _variables(term) if v.kind == "Z"]
            depth.append(1 + max(inner, default=0))
            levels.setdefault(depth[number], []).append(number)
        for _, numbers in sorted(levels.items()):
            groups: dict[tuple[type[NewTerm], int], list[int]] = {}  # the kind, and the exponent of powers
            for number in numbers:
                term = terms[number]
                exponent = term.exponent if isinstance(term, Power) else 0
                groups.setdefault((type(term), exponent), []).append(number)
            for members in groups.values():
                value = self._computed([terms[k] for k in members])
                self._terms.update((number, (value, k)) for k, number in enumerate(members))
                if not used.isdisjoint(members):
                    self._expose(value, [Variable("Z", number) for number in members])

    def _expose(self, value: Value, variables: Sequence[Variable]) -> None:
        self._outputs.append(value)
        self.column.update((v, self._width + k) for k, v in enumerate(variables))
        self._width += value.size

    def _add(self, op: Op, *inputs: Value) -> Value:
        shape = op.output_shape(*(v.shape for v in inputs))
        output = Value(f"property#{len(self._nodes)}", shape)
        self._nodes.append(Node(op, inputs, output, "property"))
        return output

    def _computed(self, terms: Sequence[NewTerm]) -> Value:
        """A value (terms,) of terms of one kind; of powers, with one exponent."""
        least = [term for term in terms if isinstance(term, Least)]
        if least:
            forms = [form for term in least for group in term.groups for form in group]
            sizes = [[len(group) for group in term.groups] for term in least]
            return least_of_largest(self._add, self._forms(forms), sizes)
        products = [term for term in terms if isinstance(term, Product)]
        if products:
            return self._add(
                Mul(), self._forms([t.left for t in products]), self._forms([t.right for t in products])
            )
        powers = [term for term in terms if isinstance(term, Power)]
        base, exponent = self._forms([term.form for term in powers]), powers[0].exponent
        return base if exponent == 1 else self._add(PowerOp(float(exponent)), base)

    def _forms(self, forms: Sequence[Form]) -> Value:
        """A value (forms,) of linear forms."""
        if all(form.is_variable for form in forms):
            return self._picked([form.terms[0][0] for form in forms])
        used = list(dict.fromkeys(v for form in forms for v, _ in form.terms))
        column = {v: k for k, v in enumerate(used)}
        weight = torch.zeros(len(forms), len(used), dtype=torch.float64)
        for row, form in enumerate(forms):
            for variable, coefficient in form.terms:
                weight[row, column[variable]] = float(coefficient)
        bias = torch.tensor([float(form.constant) for form in forms], dtype=torch.float64)
        numbers = (n for form in forms for n in (form.constant, *(c for _, c in form.terms)))
        exact = all(Fraction(float(n)) == n for n in numbers)
        return self._add(Linear(weight, bias, 0 if exact else 1), self._picked(used))

    def _picked(self, wanted: Sequence[Variable]) -> Value:
        """A value (wanted,) of variables, in any order and with repetitions."""
        sources: dict[Value, dict[int, int]] = {}
        for variable in wanted:
            value, place = self._place(variable)
            sources.setdefault(value, {}).setdefault(place, 0)
        pieces, start = [], 0
        for value, places in sources.items():
            chosen = sorted(places)
            places.update((place, start + k) for k, place in enumerate(chosen))
            start += len(chosen)
            pieces.append(self._chosen(value, chosen))
        joined = pieces[0] if len(pieces) == 1 else self._add(Concat(0), *pieces)
        order = [sources[value][place] for value, place in map(self._place, wanted)]
        if order == list(range(start)):
            return joined
        return self._add(Select.of(torch.tensor(order), (len(order),)), joined)

    def _place(self, variable: Variable) -> tuple[Value, int]:
        """The value that holds a variable, and where in it."""
        if variable.kind == "Z":
            return self._terms[variable.index]
        starts = self._starts[variable.kind]
        which = bisect_right(starts, variable.index) - 1
        return self._values[variable.kind][which], variable.index - starts[which]

    def _chosen(self, value: Value, places: list[int]) -> Value:
        flat = value
        if len(value.shape) != 1:
            flat = self._flat.get(value) or self._add(Reshape((value.size,)), value)
            self._flat[value] = flat
        if len(places) == value.size:
            return flat
        return self._add(Select.of(torch.tensor(places), (len(places),)), flat)


def _variables(term: NewTerm) -> Iterable[Variable]:
    if isinstance(term, Least):
        forms: Iterable[Form] = chain.from_iterable(term.groups)
    else:
        forms = (term.form,) if isinstance(term, Power) else (term.left, term.right)
    return (variable for form in forms for variable, _ in form.terms)
