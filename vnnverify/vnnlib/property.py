# SPDX-License-Identifier: Apache-2.0
"""A checked property: every variable declared and numbered without gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vnnverify.errors import SpecError
from vnnverify.vnnlib.ast import Expr, Variable
from vnnverify.vnnlib.declaration import NetworkDeclaration, element_name
from vnnverify.vnnlib.parse import place
from vnnverify.vnnlib.point import Point

__all__ = ["ParsedProperty"]


@dataclass(frozen=True, slots=True, eq=False)
class ParsedProperty:
    """The conjunction of `assertions` over inputs X_0 … and outputs Y_0 …: what must not happen.

    In VNN-LIB 2.0 the variables are the elements of the tensors that `networks` declare: see `second`.
    """

    inputs: int
    outputs: int
    assertions: tuple[Expr, ...]
    offsets: tuple[int, ...]  # where in the text the assertions stand
    source: str
    text: str
    networks: tuple[NetworkDeclaration, ...] = ()  # of VNN-LIB 2.0
    columns: tuple[int, ...] | None = None  # which X each declared input element is, where some are one

    def name(self, variable: Variable) -> str:
        """The variable as the text writes it."""
        index = variable.index
        if variable.kind == "X" and self.columns is not None:
            index = self.columns.index(index)
        for network in self.networks:
            tensors = network.inputs if variable.kind == "X" else (*network.outputs, *network.hidden)
            for tensor in tensors:
                if tensor.start <= index < tensor.start + tensor.size:
                    return element_name(tensor, index)
        return Variable(variable.kind, index).name

    def input_types(self) -> list[str]:
        """The declared element type of each variable X; none for VNN-LIB 1.0."""
        declared = [t.type for network in self.networks for t in network.inputs for _ in range(t.size)]
        if self.columns is None:
            return declared
        types = [""] * self.inputs
        for column, kind in zip(self.columns, declared, strict=True):
            types[column] = kind
        return types

    def line(self, offset: int) -> int:
        """The line, from 1, of a position in the text."""
        return place(self.text, offset)[0]

    def error(self, message: str, offset: int | None = None) -> SpecError:
        """An error at a position of the text, or about the text as a whole."""
        line, column = (0, 0) if offset is None else place(self.text, offset)
        return SpecError(message, line=line, column=column, source=self.source)

    def holds_at(
        self,
        x: Sequence[float],
        y: Sequence[float],
        rounded: frozenset[int] = frozenset(),
        dtype: str = "float32",
    ) -> tuple[bool, str]:
        """Whether all assertions hold at (x, y), exactly: floats are rationals, literals decimals.

        Args:
            rounded: inputs whose bounds hold no number of the model's type: a bound X_i ∘ c on them
                is judged against c rounded to `dtype`, as the model would read it.
            dtype: numpy's name of the model's input type.

        Returns:
            The answer, and if it is no, the last assertion that fails: those about outputs, which fail most
            often, mostly come last, after those about a million inputs perhaps.

        Raises:
            ValueError: x or y has the wrong length.
        """
        for kind, values, count in (("X", x, self.inputs), ("Y", y, self.outputs)):
            if len(values) != count:
                raise ValueError(f"{len(values)} values for {count} variables {kind}")
            if not all(map(math.isfinite, values)):
                index = next(k for k, value in enumerate(values) if not math.isfinite(value))
                name = self.name(Variable(kind, index))
                return False, f"{name} is {values[index]}, not a finite number"
        point = Point(x, y, rounded, dtype)
        for assertion, offset in zip(reversed(self.assertions), reversed(self.offsets), strict=True):
            if not point.satisfies(assertion):
                return False, f"the assertion in line {self.line(offset)} does not hold"
        return True, ""
