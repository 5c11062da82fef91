# SPDX-License-Identifier: Apache-2.0
"""Whether a linear form over values of a graph is nowhere negative over a region: shown in rational numbers,
so also where it comes down to zero.

The form is rewritten node by node into one over the inputs that is nowhere larger. Bounds in floating point
do that with a little loss at every step, and so never show that a difference of equal, or of ordered, values
is not negative. Here nothing is lost where

- what is added up cancels: affine operators are substituted with their own constants, exactly;
- two values are the same function of two arguments, of which one is known to be no less (`pairs`);
- a function lies above a line, as a ReLU above 0 and above its argument, and a maximum above each of its
  members; where a maximum is subtracted, each member in its place must do.

Whatever else there is goes by the ends of its interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from fractions import Fraction
from itertools import permutations

from torch import Tensor

from vnnverify.domains import interval
from vnnverify.domains.ordering import pairs
from vnnverify.domains.ordering.effort import Effort, Spent
from vnnverify.domains.ordering.form import Form
from vnnverify.domains.ordering.lines import bend, lines_beside
from vnnverify.domains.ordering.structure import ONE, ZERO, Element, Structure, is_exact
from vnnverify.ir.graph import Graph
from vnnverify.ir.op import Elementwise, Maximum, flat
from vnnverify.ops.piecewise import Abs, Relu
from vnnverify.ops.smooth import Exp, Log
from vnnverify.ops.steps import Sign, Step
from vnnverify.query import Polytope, Region
from vnnverify.query.inequalities import Inequality, contradictory

__all__ = ["EFFORT", "Ordering"]

EFFORT = 200_000
"""Products of coefficients that one question may cost; a few microseconds each."""

DEPTH = 24
"""Questions that a question may lead to, one below the other."""

CASES = 6
"""Subtracted maxima, sizes and ReLUs in a form, and members of such a maximum, up to which each case is
looked at by itself."""

NEAR = 1e-9
"""Part of an interval's other end up to which an end beyond zero may come from rounding."""

ABOVE_ZERO = Fraction(1, 1 << 50)
"""What a margin must have for a row that is not strict, relative to the row's bound."""


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
        self._effort = Effort(expired)
        self.structure = Structure(graph, self._effort)
        self._region = region
        self._outputs: list[Element] = [(v, k) for v in graph.outputs for k in range(v.size)]
        places = [(v, k) for v in graph.inputs for k in range(v.size)]
        self._input = {element: k for k, element in enumerate(places)}
        lower, upper = region.lower[None].double(), region.upper[None].double()
        found = interval.bounds_of_values(graph, lower, upper)
        self._ends = {v: (flat(low)[0], flat(high)[0]) for v, (low, high) in found.items()}
        self._answers: dict[Hashable, bool] = {}
        self._cases_first = False

    def excludes(self, polytope: Polytope) -> bool:
        """Whether no output is in the polytope, as one of its rows is nowhere satisfied, or one together with
        another that cancels one of its terms."""
        rows = [dict(_numbers(row)) for row in polytope.A]
        bounds = [Fraction(b) for b in polytope.b.tolist()]
        strict = polytope.strict.tolist()
        if any(self._nowhere(*row) for row in zip(rows, bounds, strict, strict=True)):
            return True
        if len(rows) > CASES:
            return False
        for first, second in permutations(range(len(rows)), 2):
            factors = {-a / rows[second][k] for k, a in rows[first].items() if k in rows[second]}
            for factor in sorted(f for f in factors if f > 0):
                sum_of_both = dict(rows[first])
                for k, a in rows[second].items():
                    sum_of_both[k] = sum_of_both.get(k, ZERO) + factor * a
                bound = bounds[first] + factor * bounds[second]
                if self._nowhere(sum_of_both, bound, strict[first] or strict[second]):
                    return True
        return False

    def _nowhere(self, row: dict[int, Fraction], bound: Fraction, strict: bool) -> bool:
        """Whether a row Σ row[k]·output k <= bound, or <, holds nowhere."""
        terms = [(self._outputs[k], a) for k, a in row.items()]
        return self.not_negative(terms, -bound - (0 if strict else ABOVE_ZERO * (1 + abs(bound))))

    def not_negative(self, terms: Iterable[tuple[Element, Fraction]], constant: Fraction) -> bool:
        """Whether Σ coefficient·element + constant >= 0 at every point of the region. False may also mean
        that it is not known."""
        asked = list(terms)
        for self._cases_first in (False, True):
            self._answers = {key: True for key, found in self._answers.items() if found}
            self._effort.begin(EFFORT)
            try:
                form = Form(self.structure, constant)
                for element, coefficient in asked:
                    form.add(element, coefficient)
                if self.holds(form, DEPTH):
                    return True
            except Spent:
                pass
        return False

    def ends(self, element: Element) -> tuple[float, float]:
        """The ends of an element's interval."""
        low, high = self._ends[element[0]]
        return float(low[element[1]]), float(high[element[1]])

    def holds(self, form: Form, depth: int) -> bool:
        """Whether a form is nowhere negative.

        Raises:
            Spent: the effort is used up.
        """
        key = form.key
        if key not in self._answers:
            if depth <= 0:
                return False
            self._answers[key] = False  # while it is asked, and where it leads back to itself
            self._answers[key] = self._by_ends(form) or self._walk(form.scaled(), depth)
        return self._answers[key]

    def _walk(self, form: Form, depth: int) -> bool:
        """Rewrite a form, in place, until it is about inputs alone."""
        node_of = self.structure.node
        while True:
            inner = [e for e in form.terms if e[0] in node_of]
            if not inner:
                return self._least_of_inputs(form)
            value = max(inner, key=lambda e: self._turn(e, form.terms[e]))[0]
            for element in [e for e in inner if e[0] is value]:
                coefficient = form.terms.pop(element, ZERO)
                if not coefficient:
                    continue
                if is_exact(node_of[value].op):
                    form.substitute(element, coefficient)
                    continue
                coefficient = pairs.set_against_others(self, form, element, coefficient, depth)
                if not coefficient:
                    continue
                cases = self._cases(form, element, coefficient, depth)
                if cases is not None:
                    return all(self.holds(case, depth - 1) for case in cases)
                if not self._replace(form, element, coefficient, depth):
                    return False
            if self._by_ends(form):
                return True

    def _turn(self, element: Element, coefficient: Fraction) -> tuple[bool, int, bool, int]:
        """The greater, the sooner a term is rewritten: of what is as deep, that which cases settle comes
        first, as lines are chosen by what the others have left; or that comes before all else."""
        exact, depth, place = self.structure.rank[element[0]]
        settled = self._subtracted(element, coefficient)
        return exact, depth + (settled and self._cases_first) * len(self.structure.rank), settled, place

    def _by_ends(self, form: Form) -> bool:
        """Whether the intervals of the form's elements show it."""
        least = form.constant
        for element, coefficient in form.terms.items():
            end = self.ends(element)[coefficient < 0]
            if not math.isfinite(end):
                return False
            least += coefficient * Fraction(end)
        return least >= 0

    def _least_of_inputs(self, form: Form) -> bool:
        """Whether a form over inputs is nowhere negative in the region."""
        if self._by_ends(form):
            return True
        rows = self._region.linear
        if rows is None:
            return False
        terms = {self._input[element]: c for element, c in form.terms.items()}
        system = [Inequality(terms, -form.constant, strict=True)]
        for A, b, strict in zip(rows.A, rows.b.tolist(), rows.strict.tolist(), strict=True):
            used = A.nonzero()[:, 0].tolist()
            system.append(Inequality({k: Fraction(float(A[k])) for k in used}, Fraction(b), strict))
        for k in sorted({k for row in system for k in row.coefficients}):
            system.append(Inequality({k: ONE}, Fraction(float(self._region.upper[k]))))
            system.append(Inequality({k: -ONE}, -Fraction(float(self._region.lower[k]))))
        self._effort.spend(len(system) ** 2)
        return contradictory(system)

    def _replace(self, form: Form, element: Element, coefficient: Fraction, depth: int) -> bool:
        """Put something that is nowhere larger in place of a term that was taken out; False if nothing is
        known."""
        node = self.structure.node[element[0]]
        if isinstance(node.op, Maximum):
            if self._put_member(form, element, coefficient, depth):
                return True
        elif isinstance(node.op, Log) and coefficient > 0 and self._put_exponent(form, element, coefficient):
            return True
        elif isinstance(node.op, Elementwise):
            line = self._line(form, element, coefficient, depth)
            if line is not None:
                form.constant += coefficient * line[1]
                form.add((node.inputs[0], element[1]), coefficient * line[0])
                return True
        end = self.ends(element)[coefficient < 0]
        if not math.isfinite(end):
            return False
        form.constant += coefficient * Fraction(end)
        return True

    def _line(
        self, form: Form, element: Element, coefficient: Fraction, depth: int
    ) -> tuple[Fraction, Fraction] | None:
        """Slope and offset of a line below the function, or above it for a negative coefficient: the function
        itself where it is straight, else the line that cancels what the form has of the argument. None: the
        ends of the interval say more."""
        node = self.structure.node[element[0]]
        op, argument = node.op, (node.inputs[0], element[1])
        assert isinstance(op, Elementwise)
        low, high = self._settled(argument, depth)
        if isinstance(op, Step | Sign) and (low >= 0 or high <= 0):
            side = self._side_of_jump(op, low, coefficient)
            return None if side is None else (ZERO, side)
        left = bend(op)
        if left is not None and low >= 0:
            return ONE, ZERO
        if left is not None and high <= 0:
            return left, ZERO
        beside = lines_beside(op, low, high, below=coefficient > 0)
        wanted = -form.coefficient(argument) / coefficient
        if beside is not None and (left is not None or wanted * (beside.least + beside.most) > 0):
            return min(max(wanted, beside.least), beside.most), beside.offset
        if left is None or not (math.isfinite(low) and math.isfinite(high)):
            return None
        at_low, at_high = left * Fraction(low), Fraction(high)
        slope = (at_high - at_low) / (Fraction(high) - Fraction(low))
        return slope, at_high - slope * Fraction(high)

    def _side_of_jump(self, op: Step | Sign, low: float, coefficient: Fraction) -> Fraction | None:
        """What bounds a jump at zero on one side of it, zero itself being on that side."""
        if isinstance(op, Sign):
            return ZERO if (low >= 0) == (coefficient > 0) else None
        if low >= 0:
            return ONE if op.inclusive and coefficient > 0 else None
        return ZERO if not op.inclusive and coefficient < 0 else None

    def _settled(self, element: Element, depth: int) -> tuple[float, float]:
        """The ends of an interval, without what rounding may have carried beyond zero."""
        low, high = self.ends(element)
        if low < 0 < high and min(-low, high) <= NEAR * max(-low, high):
            sign = 1 if high > -low else -1
            form = Form(self.structure)
            form.add(element, Fraction(sign))
            if self.holds(form, depth - 1):
                return (0.0, high) if sign > 0 else (low, 0.0)
        return low, high

    def _put_member(self, form: Form, element: Element, coefficient: Fraction, depth: int) -> bool:
        """Put members in place of a maximum. Below it lies each of them: first those that cancel, then the
        one with the largest lower end. Above it lies one that is no less than all others, if there is one."""
        members = self.structure.members(element)
        best = max(members, key=lambda m: self.ends(m)[0])
        if coefficient < 0:
            wins = all(self.ends(m)[1] <= self.ends(best)[0] for m in members if m != best)
            if not wins and len(members) <= pairs.PARTNERS:
                winner = next((m for m in members if self._beats(m, members, depth)), None)
                wins, best = winner is not None, winner or best
            if wins:
                form.add(best, coefficient)
            return wins
        for member in members:
            has = form.coefficient(member)
            if has < 0 and coefficient:
                amount = min(coefficient, -has)
                form.add(member, amount)
                coefficient -= amount
        form.add(best, coefficient)
        return True

    def _put_exponent(self, form: Form, element: Element, coefficient: Fraction) -> bool:
        """Below the logarithm of a sum of exponentials, with weights of one at least, lies each exponent. Of
        those, one that cancels; False if there is none."""
        node_of = self.structure.node
        argument = Form(self.structure)
        argument.add((node_of[element[0]].inputs[0], element[1]), ONE)
        argument.expand()
        if argument.constant < 0:
            return False
        exponents = []
        for source, weight in argument.terms.items():
            node = node_of.get(source[0])
            if weight < 1 or node is None or not isinstance(node.op, Exp):
                return False
            exponents.append((node.inputs[0], source[1]))
        best = min(exponents, key=form.coefficient, default=None)
        if best is None or form.coefficient(best) >= 0:
            return False
        form.add(best, coefficient)
        return True

    def _beats(self, member: Element, members: list[Element], depth: int) -> bool:
        return all(pairs.ordered(self, member, other, depth) for other in members if other != member)

    def _cases(self, form: Form, element: Element, coefficient: Fraction, depth: int) -> list[Form] | None:
        """For a subtracted maximum, size or ReLU the forms with each member in its place: what it is at any
        point is one of them. None where they are too many, or where one is known to be the largest."""
        node = self.structure.node[element[0]]
        if coefficient > 0 or not self._subtracted(element, coefficient):
            return None
        if sum(self._subtracted(*term) for term in form.terms.items()) >= CASES:
            return None
        if isinstance(node.op, Maximum):
            members = [(m, ONE) for m in self.structure.members(element)]
            best = max((self.ends(m)[0] for m, _ in members), default=0.0)
            if len(members) > CASES or sum(self.ends(m)[1] > best for m, _ in members) < 2:
                return None
        else:
            argument = node.inputs[0], element[1]
            low, high = self._settled(argument, depth)
            if low >= 0 or high <= 0:
                return None
            members = [(argument, ONE), (argument, -ONE if isinstance(node.op, Abs) else ZERO)]
        found = []
        for member, factor in members:
            case = form.scaled()
            case.add(member, coefficient * factor)
            found.append(case)
        return found

    def _subtracted(self, element: Element, coefficient: Fraction) -> bool:
        node = self.structure.node.get(element[0])
        return node is not None and coefficient < 0 and isinstance(node.op, Maximum | Abs | Relu)


def _numbers(row: Tensor) -> list[tuple[int, Fraction]]:
    used = row.nonzero()[:, 0].tolist()
    return [(k, Fraction(float(row[k]))) for k in used]
