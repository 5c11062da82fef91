# SPDX-License-Identifier: Apache-2.0
"""What is required of the outputs. Each requirement writes down how it can be violated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vnnverify.errors import SpecError
from vnnverify.properties.text import all_of, exact, numbered, row

__all__ = ["Always", "AvoidsClass", "KeepsClass", "Never", "Requirement", "Within"]

_Y = numbered("Y")


class Requirement(Protocol):
    """Something that must hold at every input of a region."""

    @property
    def outputs(self) -> int | None:
        """How many outputs the network has, if the requirement tells."""
        ...

    def violations(self, outputs: int) -> list[str]:
        """The conditions on Y_0 … of which each violates the requirement, as VNN-LIB expressions."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _OfPolytope:
    """About the polytope {y : A y <= b}."""

    A: np.ndarray  # (rows, outputs)
    b: np.ndarray  # (rows,)

    @property
    def outputs(self) -> int:
        return int(self.A.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Never(_OfPolytope):
    """No output is in {y : A y <= b}."""

    def violations(self, outputs: int) -> list[str]:
        return [all_of([row(_Y, a, "<=", c) for a, c in zip(self.A, self.b, strict=True)])]


@dataclass(frozen=True, slots=True, eq=False)
class Always(_OfPolytope):
    """Every output is in {y : A y <= b}."""

    def violations(self, outputs: int) -> list[str]:
        return [row(_Y, a, ">", c) for a, c in zip(self.A, self.b, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """Outputs lie between bounds: those of `indices`, or all of them; a bound that is None is none."""

    lower: np.ndarray | None  # () or (indices,)
    upper: np.ndarray | None
    indices: tuple[int, ...] | None = None

    @property
    def outputs(self) -> int | None:
        if self.indices is not None:
            return None
        sizes = [ends.size for ends in (self.lower, self.upper) if ends is not None and ends.ndim]
        return sizes[0] if sizes else None

    def violations(self, outputs: int) -> list[str]:
        """VNN-LIB rows, one for each end that an output may leave."""
        indices = range(outputs) if self.indices is None else self.indices
        _check_indices("output", indices, outputs)
        found = []
        for ends, operator in ((self.lower, "<"), (self.upper, ">")):
            if ends is not None:
                values = np.broadcast_to(ends, (len(indices),)).tolist()
                found += [f"({operator} {_Y(k)} {exact(v)})" for k, v in zip(indices, values, strict=True)]
        return found


@dataclass(frozen=True, slots=True)
class KeepsClass:
    """Y_label is greater than every other output by more than `margin`."""

    label: int
    margin: float
    outputs: int | None

    def violations(self, outputs: int) -> list[str]:
        others = [index for index in range(outputs) if index != self.label]
        return [row(_Y, _difference(self.label, index, outputs), "<=", self.margin) for index in others]


@dataclass(frozen=True, slots=True)
class AvoidsClass:
    """Some other output is greater than Y_label."""

    label: int
    outputs: int | None

    def violations(self, outputs: int) -> list[str]:
        others = [index for index in range(outputs) if index != self.label]
        return [all_of([row(_Y, _difference(index, self.label, outputs), "<=", 0.0) for index in others])]


def _difference(plus: int, minus: int, outputs: int) -> np.ndarray:
    """The row Y_plus − Y_minus.

    Raises:
        SpecError: there is no such output, or no other one.
    """
    _check_indices("class", (plus, minus), outputs)
    coefficients = np.zeros(outputs)
    coefficients[plus], coefficients[minus] = 1.0, -1.0
    return coefficients


def _check_indices(what: str, indices: range | tuple[int, ...], outputs: int) -> None:
    for index in indices:
        if not 0 <= index < outputs:
            raise SpecError(f"{what} {index}: the network has outputs Y_0 to Y_{outputs - 1}")
