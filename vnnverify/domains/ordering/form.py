# SPDX-License-Identifier: Apache-2.0
"""Linear forms over the elements of a graph, in rational numbers."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction

from vnnverify.domains.ordering.structure import ONE, ZERO, Element, Structure, is_exact

__all__ = ["Form"]


class Form:
    """Σ terms[e]·e + constant. Elements that are copies, or scaled and shifted, stand as what they come
    from."""

    def __init__(self, structure: Structure, constant: Fraction = ZERO) -> None:
        self._structure = structure
        self.terms: dict[Element, Fraction] = {}
        self.constant = constant

    def add(self, element: Element, coefficient: Fraction) -> None:
        """Add coefficient·element."""
        if not coefficient:
            return
        self._structure.effort.spend(1)
        factor, element, shift = self._structure.source(element)
        self.constant += coefficient * shift
        total = self.terms.get(element, ZERO) + coefficient * factor
        if total:
            self.terms[element] = total
        else:
            self.terms.pop(element, None)

    def add_all(self, other: Form, factor: Fraction = ONE) -> None:
        """Add factor·other."""
        self.constant += factor * other.constant
        for element, coefficient in other.terms.items():
            self.add(element, factor * coefficient)

    def scaled(self, factor: Fraction = ONE) -> Form:
        """factor times this form, as a new one."""
        found = Form(self._structure)
        found.add_all(self, factor)
        return found

    def expand(self) -> None:
        """Substitute what is a sum, down to what is none."""
        node_of = self._structure.node
        while True:
            sums = [e for e in self.terms if e[0] in node_of and is_exact(node_of[e[0]].op)]
            if not sums:
                return
            for element in sums:
                factor = self.terms.pop(element, ZERO)
                if factor:
                    self.substitute(element, factor)

    def substitute(self, element: Element, factor: Fraction) -> None:
        """Add factor times what an element of an exact affine node is computed from."""
        terms, constant = self._structure.row(element)
        self.constant += factor * constant
        for source, weight in terms:
            self.add(source, factor * weight)

    def coefficient(self, element: Element) -> Fraction:
        """How often the form holds an element: of what that is a copy of, or scaled, or adds up, the part
        that weighs most tells. What it is good for is a guess."""
        factor, source, _ = self._structure.source(element)
        if not factor or source in self.terms:
            return self.terms[source] / factor if factor else ZERO
        parts = [(abs(w), self.terms[e] / w) for e, w in self._structure.parts(source) if e in self.terms]
        return max(parts, default=(ZERO, ZERO))[1] / factor

    @property
    def key(self) -> Hashable:
        """Equal for equal forms."""
        return self.constant, frozenset(self.terms.items())
