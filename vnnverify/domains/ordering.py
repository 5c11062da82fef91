# SPDX-License-Identifier: Apache-2.0
"""Whether a linear form over values of a graph is nowhere negative over a box: proved in rational numbers, so
also where it comes down to zero.

The form is rewritten node by node into one over the inputs that is nowhere larger. Bounds in floating point
do that with a little loss at every step, and so never show that a difference of equal, or of ordered, values
is not negative. Here nothing is lost where

- what is added up cancels: affine operators are substituted with their own constants, exactly;
- two values are the same function of two arguments, of which one is known to be no less: f(a) − f(b) lies
  between the least and the greatest slope of f, times a − b;
- a function lies above a line through its bend, as a ReLU above 0 and above its argument, and a maximum above
  each of its members.

Whatever else there is goes by the ends of its interval.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterable
from fractions import Fraction

import torch
from torch import Tensor

from vnnverify.domains import interval
from vnnverify.inequalities import Inequality, contradictory
from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Affine, Elementwise, Maximum, Op, flat
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import Linear, SparseLinear
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.softmax import LogSoftmax, Softmax
from vnnverify.ops.sums import ReduceSum, Sum
from vnnverify.query import Polytope, Region

__all__ = ["EFFORT", "Element", "Ordering"]

EFFORT = 200_000
"""Products of coefficients that one question may cost; a few microseconds each."""

LOOK = 256
"""Products after which the clock is looked at."""

PARTNERS = 8
"""Other arguments of the same function that one is compared with."""

DEPTH = 24
"""Questions that a question may lead to, one below the other."""

Element = tuple[Value, int]
"""One number of a graph: a value, and a place in it flattened."""

ZERO, ONE = Fraction(0), Fraction(1)


class _Spent(Exception):
    """The effort, or the time, is used up."""


class _Form:
    """Σ terms[e]·e + constant. Elements that are copies, or scaled and shifted, stand as what they come
    from."""

    def __init__(self, ordering: Ordering) -> None:
        self.terms: dict[Element, Fraction] = {}
        self.constant = ZERO
        self._ordering = ordering

    def add(self, element: Element, coefficient: Fraction) -> None:
        """Add coefficient·element."""
        if not coefficient:
            return
        self._ordering.spend(1)
        factor, element, shift = self._ordering.source(element)
        self.constant += coefficient * shift
        total = self.terms.get(element, ZERO) + coefficient * factor
        if total:
            self.terms[element] = total
        else:
            self.terms.pop(element, None)

    def add_all(self, other: _Form, factor: Fraction) -> None:
        """Add factor·other."""
        self.constant += factor * other.constant
        for element, coefficient in other.terms.items():
            self.add(element, factor * coefficient)

    @property
    def key(self) -> Hashable:
        """Equal for equal forms."""
        return self.constant, frozenset(self.terms.items())


class Ordering:
    """What is known of a graph over one region.

    Args:
        graph: with parameters in float64.
        region: its rows, if it has any, are made use of.
        expired: whether the time is used up.

    Raises:
        UnsupportedOperator: an operator has no interval rule.
    """

    def __init__(self, graph: Graph, region: Region, expired: Callable[[], bool] = lambda: False) -> None:
        self._region = region
        self._expired = expired
        self._left, self._look = 0, 0
        self._node = {node.output: node for node in graph.nodes}
        self._start: dict[Value, int] = {}
        self._outputs: list[Element] = [(v, k) for v in graph.outputs for k in range(v.size)]
        start = 0
        for value in graph.inputs:
            self._start[value] = start
            start += value.size
        self._rank: dict[Value, tuple[int, bool, int]] = dict.fromkeys(graph.inputs, (0, False, -1))
        for k, node in enumerate(graph.nodes):
            linear = isinstance(node.op, Affine)
            depth = max((self._rank[v][0] for v in node.inputs), default=0) + (not linear)
            self._rank[node.output] = depth, linear, k
        lower, upper = region.lower[None].double(), region.upper[None].double()
        found = interval.bounds_of_values(graph, lower, upper)
        self._ends = {v: (flat(low)[0], flat(high)[0]) for v, (low, high) in found.items()}
        self._sources: dict[Element, tuple[Fraction, Element, Fraction]] = {}
        self._answers: dict[Hashable, bool] = {}
        self._identities: dict[Op, Hashable] = {}
        self._groups: dict[Node, list[list[int]]] = {}
        self._exact_ops: dict[Op, bool] = {}

    def excludes(self, polytope: Polytope) -> bool:
        """Whether no output is in the polytope, as one of its strict rows is nowhere negative."""
        for row in polytope.strict.nonzero()[:, 0].tolist():
            used = polytope.A[row].nonzero()[:, 0].tolist()
            terms = [(self._outputs[k], Fraction(float(polytope.A[row, k]))) for k in used]
            if self.not_negative(terms, -Fraction(float(polytope.b[row]))):
                return True
        return False

    def not_negative(self, terms: Iterable[tuple[Element, Fraction]], constant: Fraction) -> bool:
        """Whether Σ coefficient·element + constant >= 0 at every point of the region. False may also mean
        that it is not known."""
        self._left, self._look = EFFORT, EFFORT
        try:
            form = _Form(self)
            form.constant = constant
            for element, coefficient in terms:
                form.add(element, coefficient)
            return self._holds(form, DEPTH)
        except _Spent:
            return False

    def spend(self, effort: int) -> None:
        """Count so many products.

        Raises:
            _Spent: there have been too many.
        """
        self._left -= effort
        if self._left < self._look:
            self._look = self._left - LOOK
            if self._left < 0 or self._expired():
                raise _Spent

    def source(self, element: Element) -> tuple[Fraction, Element, Fraction]:
        """(f, e, t) with element = f·e + t, where e is no copy and not scaled."""
        known = self._sources.get(element)
        if known is None:
            known = self._sources[element] = self._find_source(element)
        return known

    def _find_source(self, element: Element) -> tuple[Fraction, Element, Fraction]:
        factor, shift = ONE, ZERO
        while True:
            value, place = element
            node = self._node.get(value)
            if node is None or not self._exact(node.op):
                return factor, element, shift
            op = node.op
            if isinstance(op, Scale):
                scale, add = (
                    None if t is None else Fraction(float(flat(t.expand(1, *value.shape))[0, place]))
                    for t in (op.scale, op.shift)
                )
                shift += factor * (add or ZERO)
                factor *= ONE if scale is None else scale
                element = node.inputs[0], place
            elif isinstance(op, Affine) and op.fan_in == 0 and node.inputs:
                terms, add = self._row(node, place)
                if len(terms) > 1:
                    return factor, element, shift
                shift += factor * add
                if not terms:
                    return ZERO, element, shift
                ((element, coefficient),) = terms
                factor *= coefficient
            else:
                return factor, element, shift

    def _exact(self, op: Op) -> bool:
        """Whether an affine operator's constants are exact, so that it may be substituted."""
        known = self._exact_ops.get(op)
        if known is None:
            known = self._exact_ops[op] = _is_exact(op)
        return known

    def _row(self, node: Node, place: int) -> tuple[list[tuple[Element, Fraction]], Fraction]:
        """Coefficients and constant of one output element of an affine node whose constants are exact. Of a
        single output no weight is added to another, so that none is rounded."""
        op, value = node.op, node.output
        assert isinstance(op, Affine)
        add = ZERO
        if op.offset is not None:
            add = Fraction(float(flat(op.offset.expand(1, *value.shape))[0, place]))
        if not node.inputs:
            return [], add
        unit = torch.zeros(1, value.size, dtype=torch.float64)
        unit[0, place] = 1
        rows = op.adjoint(unit.reshape(1, *value.shape), *(v.shape for v in node.inputs))
        terms: list[tuple[Element, Fraction]] = []
        for source, row in zip(node.inputs, rows, strict=True):
            weights = flat(row)[0]
            used = weights.nonzero()[:, 0]
            self.spend(used.numel() + weights.numel() // 64)
            numbers = zip(used.tolist(), weights[used].tolist(), strict=True)
            terms.extend(((source, k), Fraction(w)) for k, w in numbers)
        return terms, add

    def _interval(self, element: Element) -> tuple[float, float]:
        low, high = self._ends[element[0]]
        return float(low[element[1]]), float(high[element[1]])

    # The walk

    def _holds(self, form: _Form, depth: int) -> bool:
        """Whether the form, which is used up, is nowhere negative."""
        key = form.key
        known = self._answers.get(key)
        if known is not None:
            return known
        if depth <= 0:
            return False
        self._answers[key] = False  # while it is asked, and where it leads back to itself
        found = self._walk(form, depth)
        self._answers[key] = found
        return found

    def _walk(self, form: _Form, depth: int) -> bool:
        while True:
            inner = [e for e in form.terms if e[0] in self._node]
            if not inner:
                return self._least_of_inputs(form)
            if self._by_ends(form):
                return True
            value = max((e[0] for e in inner), key=self._rank.__getitem__)
            node = self._node[value]
            here = [e for e in inner if e[0] is value]
            for element in here:
                coefficient = form.terms.pop(element, ZERO)
                if coefficient and not self._rewrite(form, node, element, coefficient, depth):
                    return False

    def _by_ends(self, form: _Form) -> bool:
        """Whether the intervals of the form's elements show it."""
        least = form.constant
        for element, coefficient in form.terms.items():
            end = self._interval(element)[coefficient < 0]
            if not math.isfinite(end):
                return False
            least += coefficient * Fraction(end)
        return least >= 0

    def _rewrite(self, form: _Form, node: Node, element: Element, coefficient: Fraction, depth: int) -> bool:
        """Put something that is nowhere larger in place of a term that was taken out; False if nothing is
        known."""
        op, place = node.op, element[1]
        if isinstance(op, Affine) and self._exact(op):
            terms, add = self._row(node, place)
            form.constant += coefficient * add
            for source, weight in terms:
                form.add(source, coefficient * weight)
            return True
        if isinstance(op, Softmax | LogSoftmax):
            coefficient = self._paired_in_group(form, node, element, coefficient, depth)
        else:
            coefficient = self._paired(form, node, element, coefficient, depth)
        if not coefficient:
            return True
        if isinstance(op, Elementwise):
            line = self._line(form, node, element, coefficient)
            if line is not None:
                slope, offset = line
                form.constant += coefficient * offset
                form.add((node.inputs[0], place), coefficient * slope)
                return True
        if isinstance(op, Maximum) and self._member(form, node, element, coefficient, depth):
            return True
        end = self._interval(element)[coefficient < 0]
        if not math.isfinite(end):
            return False
        form.constant += coefficient * Fraction(end)
        return True

    def _least_of_inputs(self, form: _Form) -> bool:
        """Whether a form over inputs is nowhere negative in the region."""
        lower, upper = self._region.lower, self._region.upper
        least = form.constant
        terms: dict[Hashable, Fraction] = {}
        for (value, place), coefficient in form.terms.items():
            k = self._start[value] + place
            terms[k] = terms.get(k, ZERO) + coefficient
            end = float((lower if coefficient > 0 else upper)[k])
            if not math.isfinite(end):
                return False
            least += coefficient * Fraction(end)
        if least >= 0:
            return True
        rows = self._region.linear
        if rows is None:
            return False
        system = [Inequality(terms, -form.constant, strict=True)]
        for row in range(rows.b.numel()):
            used = rows.A[row].nonzero()[:, 0].tolist()
            if len(used) > PARTNERS:
                continue
            own = {k: Fraction(float(rows.A[row, k])) for k in used}
            system.append(Inequality(own, Fraction(float(rows.b[row])), bool(rows.strict[row])))
        for k in {k for row in system for k in row.coefficients}:
            system.append(Inequality({k: ONE}, Fraction(float(upper[k]))))
            system.append(Inequality({k: -ONE}, -Fraction(float(lower[k]))))
        self.spend(len(system) ** 2)
        return contradictory(system)

    # Two values that are the same function

    def _paired(
        self, form: _Form, node: Node, element: Element, coefficient: Fraction, depth: int
    ) -> Fraction:
        """What is left of the coefficient when the term has been set against others with the same
        function."""
        op, place = node.op, element[1]
        if not self._pairs(op):
            return coefficient
        identity = self._identity(op)
        others = [
            other
            for other, c in form.terms.items()
            if (c > 0) != (coefficient > 0) and other[0] in self._node and self._same(other[0], identity)
        ]
        if any(isinstance(p, Tensor) and p.numel() > 1 for p in _fields(op)):
            others = [other for other in others if other[1] == place]
        others.sort(key=lambda other: (other[1] != place, other[0].name, other[1]))
        for other in others[:PARTNERS]:
            if not coefficient:
                break
            amount = min(abs(coefficient), abs(form.terms[other]))
            greater, less = (element, other) if coefficient > 0 else (other, element)
            bound = self._difference(greater, less, depth)
            if bound is None:
                continue
            sign = 1 if coefficient > 0 else -1
            coefficient -= sign * amount
            form.add(other, sign * amount)
            form.add_all(bound, amount)
        return coefficient

    def _difference(self, first: Element, second: Element, depth: int) -> _Form | None:
        """A form that is nowhere larger than first − second, two values of one function; None if none is
        known."""
        a, b = self._node[first[0]], self._node[second[0]]
        op = a.op
        nothing = _Form(self)
        if isinstance(op, Maximum):
            mine, theirs = self._members(a, first[1]), self._members(b, second[1])
            beaten = all(
                any(self._ordered(m, t, depth) for m in _nearest(mine, k)) for k, t in enumerate(theirs)
            )
            return nothing if beaten else None
        if isinstance(op, Affine):
            mine_row, their_row = self._signs(a, first[1]), self._signs(b, second[1])
            if [k for _, k, _ in mine_row] != [k for _, k, _ in their_row]:
                return None
            pairs = zip(mine_row, their_row, strict=True)
            grows = all(
                self._ordered((v, k), (w, k), depth) if s > 0 else self._ordered((w, k), (v, k), depth)
                for (v, k, s), (w, _, _) in pairs
            )
            return nothing if grows and first[1] == second[1] else None
        assert isinstance(op, Elementwise)
        least, most = op.steepness
        if not all(any(map(math.isfinite, self._interval(e))) for e in (first, second)):  # it may be NaN
            return None
        gap = self._gap((a.inputs[0], first[1]), (b.inputs[0], second[1]))
        back = _Form(self)
        back.add_all(gap, Fraction(-1))
        if least >= 0 and self._holds(_copied(self, gap), depth - 1):
            nothing.add_all(gap, Fraction(least))
            return nothing
        if (most <= 0 or math.isfinite(most)) and self._holds(back, depth - 1):
            nothing.add_all(gap, Fraction(most))
            return nothing
        return None

    def _ordered(self, first: Element, second: Element, depth: int) -> bool:
        """Whether first >= second everywhere."""
        return self._holds(self._gap(first, second), depth - 1)

    def _gap(self, first: Element, second: Element) -> _Form:
        form = _Form(self)
        form.add(first, ONE)
        form.add(second, -ONE)
        return form

    def _pairs(self, op: Op) -> bool:
        """Whether two values of this operator can be compared by what they are computed from."""
        if isinstance(op, Elementwise):
            least, most = op.steepness
            return least >= 0 or math.isfinite(most)
        return isinstance(op, Affine | Maximum)

    def _same(self, value: Value, identity: Hashable) -> bool:
        return self._identity(self._node[value].op) == identity

    def _identity(self, op: Op) -> Hashable:
        known = self._identities.get(op)
        if known is None:
            rounded = bool(getattr(op, "roundings", 0))  # equal numbers may stand for different ones
            known = (id(op),) if rounded else (type(op), *map(_key, _fields(op)))
            self._identities[op] = known
        return known

    def _signs(self, node: Node, place: int) -> list[tuple[Value, int, int]]:
        """The inputs of one output element of an affine node, and the signs of their weights."""
        op = node.op
        assert isinstance(op, Affine)
        unit = torch.zeros(1, node.output.size, dtype=torch.float64)
        unit[0, place] = 1
        rows = op.adjoint(unit.reshape(1, *node.output.shape), *(v.shape for v in node.inputs))
        found: list[tuple[Value, int, int]] = []
        for source, row in zip(node.inputs, rows, strict=True):
            weights = flat(row)[0]
            used = weights.nonzero()[:, 0].tolist()
            self.spend(len(used))
            found.extend((source, k, 1 if float(weights[k]) > 0 else -1) for k in used)
        return found

    # Softmax

    def _paired_in_group(
        self, form: _Form, node: Node, element: Element, coefficient: Fraction, depth: int
    ) -> Fraction:
        """The same for members of one softmax, which are ordered as their arguments are. A difference of
        logarithms is that of the arguments. What is left of a whole softmax sums up to one."""
        op, value = node.op, element[0]
        assert isinstance(op, Softmax | LogSoftmax)
        places = torch.arange(value.size).reshape(value.shape).movedim(op.axis, -1)
        group = places.reshape(-1, value.shape[op.axis])
        own = group[(group == element[1]).any(dim=1)][0].tolist()
        others = [k for k in own if (form.terms.get((value, k), ZERO) > 0) != (coefficient > 0)]
        for k in others:
            other = value, k
            if not coefficient or other not in form.terms or k == element[1]:
                continue
            amount = min(abs(coefficient), abs(form.terms[other]))
            sign = 1 if coefficient > 0 else -1
            gap = self._gap(*((node.inputs[0], place) for place in (element[1], k)[::sign]))
            if isinstance(op, Softmax) and not self._holds(_copied(self, gap), depth - 1):
                continue
            coefficient -= sign * amount
            form.add(other, sign * amount)
            if isinstance(op, LogSoftmax):
                form.add_all(gap, amount)
        if isinstance(op, LogSoftmax) or not coefficient:
            return coefficient
        terms = {k: form.terms.get((value, k), ZERO) for k in own}
        terms[element[1]] = coefficient
        least = min(terms.values())
        if least < 0:  # Σ c_k p_k = least + Σ (c_k − least) p_k
            form.constant += least
            for k in own:
                if k != element[1]:
                    form.add((value, k), -least)
            return coefficient - least
        return coefficient

    # One value by itself

    def _line(
        self, form: _Form, node: Node, element: Element, coefficient: Fraction
    ) -> tuple[Fraction, Fraction] | None:
        """Slope and offset of a line below the function, or above it for a negative coefficient: of those
        through the bend the one that cancels what the form has of the argument. A value that is clipped from
        below only is no less than its argument, from above only no larger. None: the ends of the interval."""
        op = node.op
        argument = node.inputs[0], element[1]
        low, high = self._interval(argument)
        factor, source, _ = self.source(argument)
        has = form.terms.get(source, ZERO)
        if isinstance(op, Clip):
            inside = low >= op.low, high <= op.high
            useful = has * factor * coefficient < 0 and inside[coefficient > 0]
            return (ONE, ZERO) if useful or all(inside) else None
        if not isinstance(op, Relu | LeakyRelu | Abs):
            return None
        left = {Relu: 0.0, Abs: -1.0}.get(type(op), getattr(op, "alpha", 0.0))
        if low >= 0:
            return ONE, ZERO
        if high <= 0:
            return Fraction(left), ZERO
        if (coefficient > 0) == (left <= 1):  # it bends towards the line's side
            wanted = -has / (coefficient * factor) if factor else ZERO
            ends = sorted((Fraction(left), ONE))
            return min(max(wanted, ends[0]), ends[1]), ZERO
        if not (math.isfinite(low) and math.isfinite(high)):
            return None
        at_low, at_high = Fraction(left) * Fraction(low), Fraction(high)
        slope = (at_high - at_low) / (Fraction(high) - Fraction(low))
        return slope, at_high - slope * Fraction(high)

    def _members(self, node: Node, place: int) -> list[Element]:
        """The elements of which one element of a maximum is the largest."""
        if node not in self._groups:
            op = node.op
            assert isinstance(op, Maximum)
            self._groups[node] = op.groups(*(v.shape for v in node.inputs)).tolist()
        flattened: list[Element] = []
        found = dict.fromkeys(self._groups[node][place])
        self.spend(len(found))
        starts, start = [], 0
        for value in node.inputs:
            starts.append((start, value))
            start += value.size
        for index in found:
            first, value = max((pair for pair in starts if pair[0] <= index), key=lambda pair: pair[0])
            flattened.append((value, index - first))
        return flattened

    def _member(self, form: _Form, node: Node, element: Element, coefficient: Fraction, depth: int) -> bool:
        """Put members in place of a maximum. Below it lies each of them: first those that cancel, then the
        one with the largest lower end. Above it lies one that is no less than all others."""
        members = self._members(node, element[1])
        best = max(members, key=lambda m: self._interval(m)[0])
        if coefficient < 0:
            floor = self._interval(best)[0]
            rivals = [m for m in members if m != best]
            wins = all(self._interval(m)[1] <= floor for m in rivals)
            if not wins and len(rivals) <= PARTNERS:
                for candidate in members:
                    wins = all(self._ordered(candidate, m, depth) for m in members if m != candidate)
                    if wins:
                        best = candidate
                        break
            if wins:
                form.add(best, coefficient)
            return wins
        for member in members:
            factor, source, _ = self.source(member)
            has = form.terms.get(source, ZERO)
            if coefficient and factor and has and (has > 0) != (factor > 0):
                amount = min(coefficient, abs(has / factor))
                form.add(member, amount)
                coefficient -= amount
        form.add(best, coefficient)
        return True


def _copied(ordering: Ordering, form: _Form) -> _Form:
    copy = _Form(ordering)
    copy.add_all(form, ONE)
    return copy


def _nearest(elements: list[Element], k: int) -> list[Element]:
    """The elements, the one at place k first."""
    return [*elements[k : k + 1], *elements[:k], *elements[k + 1 :]][:PARTNERS]


def _is_exact(op: Op) -> bool:
    if not isinstance(op, Affine):
        return False
    if isinstance(op, Scale):
        return op.source is None
    if isinstance(op, ReduceSum):
        return math.frexp(op.factor)[0] == 0.5  # a power of two: no rounded 1/n
    if isinstance(op, Linear | SparseLinear | Conv | ConvTranspose):
        return op.roundings == 0
    return op.fan_in == 0 or isinstance(op, Sum)


def _fields(op: Op) -> list[object]:
    return [getattr(op, field.name) for field in dataclasses.fields(op)]


def _key(value: object) -> Hashable:
    if not isinstance(value, Tensor):
        return value if isinstance(value, Hashable) else id(value)
    if value.is_sparse:
        return id(value)
    return value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes()
