# SPDX-License-Identifier: Apache-2.0
"""A property built in Python: regions of inputs, and what must hold of the outputs there.

It is written down as VNN-LIB text, which states the negation: that text is what is verified, and what a
witness is judged by. Numbers are written exactly.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vnnverify.errors import SpecError
from vnnverify.properties.arrays import as_array, as_rows
from vnnverify.properties.input_set import BallText, InputSet
from vnnverify.properties.relation import EqualOutputs, Monotone, Relation, RelationalProperty
from vnnverify.properties.requirement import Always, AvoidsClass, KeepsClass, Never, Requirement, Within
from vnnverify.properties.text import all_of, any_of, numbered

__all__ = ["Property"]

_X = numbered("X")


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """A region, and what must hold in it."""

    region: InputSet
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Property:
    """What must hold: of every input in some regions, something about the network's outputs.

    Begin with `box`, `linf_ball`, `l2_ball` or `l1_ball`, then say what is required: `keeps_class`,
    `avoids_class`, `outputs_within`, `output_range`, `always`, `never`; or of two runs, `monotone` or
    `equal_outputs`. Each call gives a new property to which the requirement is added; `p & q` requires both.
    The property holds if no input violates any of its requirements.
    """

    cases: tuple[_Case, ...]
    shape: tuple[int, ...]  # of the network's input, as given

    @classmethod
    def box(cls, lower: Any, upper: Any) -> Property:
        """All x with lower <= x <= upper. Arrays, torch tensors, lists; a number stands for all inputs.

        Raises:
            SpecError: the shapes differ, a number is not finite, or a lower bound is above its upper bound.
        """
        low, high = as_array(lower, "lower"), as_array(upper, "upper")
        try:
            low, high = np.broadcast_arrays(low, high)
        except ValueError:
            raise SpecError(f"lower has shape {low.shape}, upper {high.shape}") from None
        shape, low, high = low.shape, low.reshape(-1), high.reshape(-1)
        if (low > high).any():
            k = int((low > high).argmax())
            raise SpecError(f"input {k}: the lower bound {low[k]} is above the upper bound {high[k]}")
        if not low.size:
            raise SpecError("the box has no inputs")
        return cls((_Case(InputSet(low.copy(), high.copy())),), shape)

    @classmethod
    def linf_ball(cls, x: Any, eps: Any, clip: tuple[float, float] | None = None) -> Property:
        """All inputs that differ from x by at most eps in each component, and lie within `clip` if given.

        The ends are computed in float64, which rounds none of the ball's float32 numbers out of it.

        Raises:
            SpecError: eps is negative, a number is not finite, or `clip` leaves nothing.
        """
        center, radius = as_array(x, "x"), as_array(eps, "eps")
        if (radius < 0).any():
            raise SpecError("eps is negative")
        lower, upper = center - radius, center + radius
        if clip is not None:
            lower, upper = np.maximum(lower, clip[0]), np.minimum(upper, clip[1])
        return cls.box(lower, upper)

    @classmethod
    def l2_ball(cls, x: Any, eps: Any, clip: tuple[float, float] | None = None) -> Property:
        """All inputs whose Euclidean distance from x is at most eps, and that lie within `clip` if given.

        The text has the sum of squares: membership of a witness is decided exactly.

        Raises:
            SpecError: eps is negative, a number is not finite, or `clip` leaves nothing.
        """
        return cls._ball(2, x, eps, clip)

    @classmethod
    def l1_ball(cls, x: Any, eps: Any, clip: tuple[float, float] | None = None) -> Property:
        """All inputs that differ from x by at most eps in sum, and that lie within `clip` if given.

        VNN-LIB knows no absolute values: the text has a row for every choice of signs, so that such a
        property of more than 8 inputs can be neither saved nor verified. `vnnverify.bounds` bounds outputs
        over it.

        Raises:
            SpecError: eps is negative, a number is not finite, or `clip` leaves nothing.
        """
        return cls._ball(1, x, eps, clip)

    @classmethod
    def _ball(cls, norm: int, x: Any, eps: Any, clip: tuple[float, float] | None) -> Property:
        center, radius = as_array(x, "x"), as_array(eps, "eps")
        if radius.ndim or radius < 0:
            raise SpecError("eps is one number, zero or more")
        lower, upper = np.nextafter(center - radius, -np.inf), np.nextafter(center + radius, np.inf)
        if clip is not None:
            lower, upper = np.maximum(lower, clip[0]), np.minimum(upper, clip[1])
        box = cls.box(lower, upper)
        ball = BallText(norm, center.reshape(-1), float(radius))
        region = dataclasses.replace(box.cases[0].region, balls=(ball,))
        return cls((_Case(region),), box.shape)

    def where(self, A: Any, b: Any) -> Property:
        """Only the inputs with A x <= b: A is (rows, n) and b (rows,), or a row and a number."""
        A, b = as_rows(A, b)
        if A.shape[1] != self.inputs:
            raise SpecError(f"A has {A.shape[1]} columns for {self.inputs} inputs")
        more = tuple((a, float(c)) for a, c in zip(A, b, strict=True))
        cases = (
            dataclasses.replace(c, region=dataclasses.replace(c.region, rows=(*c.region.rows, *more)))
            for c in self.cases
        )
        return dataclasses.replace(self, cases=tuple(cases))

    def keeps_class(self, label: int, *, margin: float = 0.0, classes: int | None = None) -> Property:
        """Output `label` stays the greatest, by more than `margin`. A tie is a violation.

        Args:
            classes: how many outputs there are; by default as many as the model has.
        """
        return self._requiring(KeepsClass(_index(label, "class"), float(as_array(margin, "margin")), classes))

    def avoids_class(self, label: int, *, classes: int | None = None) -> Property:
        """Output `label` is never the greatest. A tie is a violation."""
        return self._requiring(AvoidsClass(_index(label, "class"), classes))

    def always(self, A: Any, b: Any) -> Property:
        """Every output y has A y <= b, row by row: A is (rows, outputs) and b (rows,), or a row and a
        number."""
        return self._requiring(Always(*as_rows(A, b)))

    def never(self, A: Any, b: Any) -> Property:
        """No output y has A y <= b, all rows at once: A is (rows, outputs) and b (rows,), or a row and a
        number."""
        return self._requiring(Never(*as_rows(A, b)))

    def outputs_within(self, lower: Any = None, upper: Any = None) -> Property:
        """Every output y has lower <= y <= upper; a bound that is left out is none, a number one for all."""
        return self._requiring(Within(*_bounds(lower, upper)))

    def output_range(self, output: int, lower: Any = None, upper: Any = None) -> Property:
        """Output number `output` lies between two numbers, one of which may be left out."""
        low, high = _bounds(lower, upper)
        if any(end is not None and end.ndim for end in (low, high)):
            raise SpecError("output_range is about one output: lower and upper are numbers")
        return self._requiring(Within(low, high, (_index(output, "output"),)))

    def monotone(
        self, input: int | Sequence[int], output: int, *, decreasing: bool = False, tolerance: float = 0.0
    ) -> RelationalProperty:
        """As one input grows and all others stay, within the region, one output does not fall.

        Args:
            input: its number, or its indices in the shape that the region was given in.
            decreasing: the output does not rise instead.
            tolerance: by more than that.
        """
        return self._relating(
            Monotone(self._input(input), _index(output, "output"), decreasing, _tolerance(tolerance))
        )

    def equal_outputs(
        self, tolerance: float = 0.0, *, networks: tuple[str, str] = ("f", "g")
    ) -> RelationalProperty:
        """Two networks have the same outputs, within `tolerance`, at every input of the region.

        Args:
            networks: what they are called; `verify({"f": one, "g": other}, …)` says which they are.
        """
        return self._relating(EqualOutputs(_tolerance(tolerance)), networks)

    def __and__(self, other: Property) -> Property:
        """Both properties at once."""
        if other.inputs != self.inputs:
            raise SpecError(f"the properties have {self.inputs} and {other.inputs} inputs")
        return Property((*self.cases, *other.cases), self.shape)

    @property
    def inputs(self) -> int:
        """How many inputs there are."""
        return int(self.cases[0].region.lower.size)

    @property
    def outputs(self) -> int | None:
        """How many outputs the requirements speak of; None if they do not tell.

        Raises:
            SpecError: they contradict each other.
        """
        counts = {r.outputs for case in self.cases for r in case.requirements} - {None}
        if len(counts) > 1:
            raise SpecError(f"the requirements speak of {' and '.join(map(str, sorted(counts)))} outputs")  # type: ignore[type-var]
        return counts.pop() if counts else None

    @property
    def names_classes(self) -> bool:
        """Whether a requirement takes all outputs for classes without saying how many there are."""
        stated = (requirement for case in self.cases for requirement in case.requirements)
        return any(isinstance(r, KeepsClass | AvoidsClass) and r.outputs is None for r in stated)

    def to_vnnlib(self, outputs: int | None = None) -> str:
        """The property as VNN-LIB 1.0 text: satisfiable if and only if the property is violated.

        Args:
            outputs: how many the network has; needed where the requirements do not tell.

        Raises:
            SpecError: nothing is required, or the number of outputs is missing or contradicted.
        """
        if any(not case.requirements for case in self.cases):
            raise SpecError(
                "the property requires nothing of the outputs; add .keeps_class(label), .always(A, b), …"
            )
        count = self.outputs if self.outputs is not None else outputs
        if count is None:
            raise SpecError(
                "how many outputs are there? give keeps_class(label, classes=10), save(path, outputs=10), "
                "or to_vnnlib(10)"
            )
        if outputs not in (None, count):
            raise SpecError(f"the property speaks of {count} outputs, the model has {outputs}")
        lines = [f"(declare-const X_{index} Real)" for index in range(self.inputs)]
        lines += [f"(declare-const Y_{index} Real)" for index in range(count)]
        if len(self.cases) == 1:
            lines += [f"(assert {bound})" for bound in self.cases[0].region.text(_X)]
            lines.append(f"(assert {any_of(_violations(self.cases[0], count))})")
        else:
            parts = []
            for case in self.cases:
                region = case.region.text(_X)
                parts += [all_of([*region, violation]) for violation in _violations(case, count)]
            lines.append(f"(assert {any_of(parts)})")
        return "\n".join(lines) + "\n"

    def save(self, path: str | os.PathLike[str], outputs: int | None = None) -> None:
        """Write the VNN-LIB text to a file.

        Raises:
            FileError: it cannot be written.
        """
        from vnnverify.results import write_file

        write_file(os.fspath(path), self.to_vnnlib(outputs))

    def __repr__(self) -> str:
        count = sum(len(case.requirements) for case in self.cases)
        return f"<Property: {self.inputs} inputs, {len(self.cases)} regions, {count} requirements>"

    def _input(self, input: int | Sequence[int]) -> int:
        """The number of an input that is given by number or indices."""
        indices = tuple(input) if isinstance(input, Sequence) else (input,)
        shape = self.shape if isinstance(input, Sequence) else (self.inputs,)
        places = [_index(index, "input") for index in indices]
        if len(places) != len(shape) or any(k >= n for k, n in zip(places, shape, strict=True)):
            raise SpecError(f"input {input!r}: the region has the shape {list(shape)}")
        return int(np.ravel_multi_index(places, shape))

    def _relating(self, relation: Relation, networks: tuple[str, str] = ("f", "g")) -> RelationalProperty:
        if any(case.requirements for case in self.cases):
            raise SpecError(
                "a property about two runs says nothing else; verify the other requirements apart"
            )
        if len(set(networks)) != 2 or not all(re.fullmatch(r"[A-Za-z]\w*", n, re.ASCII) for n in networks):
            raise SpecError(f"networks={networks!r}: expected two names, of letters, digits and _")
        regions = tuple(case.region for case in self.cases)
        return RelationalProperty(regions, self.shape, relation, networks)

    def _requiring(self, requirement: Requirement) -> Property:
        cases = (
            dataclasses.replace(case, requirements=(*case.requirements, requirement)) for case in self.cases
        )
        return dataclasses.replace(self, cases=tuple(cases))


def _violations(case: _Case, outputs: int) -> list[str]:
    found = [text for requirement in case.requirements for text in requirement.violations(outputs)]
    if not found:
        raise SpecError(f"with {outputs} outputs there is no other class")
    return found


def _index(value: Any, what: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or number != value:
        raise SpecError(f"{what} {value!r}: expected a whole number from 0")
    return number


def _tolerance(value: Any) -> float:
    number = as_array(value, "tolerance")
    if number.ndim or number < 0:
        raise SpecError(f"tolerance {value!r}: expected a number, zero or more")
    return float(number)


def _bounds(lower: Any, upper: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Both bounds as arrays (), for all, or (n,) of one length."""
    if lower is None and upper is None:
        raise SpecError("give lower, upper, or both")
    low, high = (
        None if end is None else as_array(end, name) for end, name in ((lower, "lower"), (upper, "upper"))
    )
    low, high = (None if end is None else end.reshape(-1) if end.ndim else end for end in (low, high))
    if low is not None and high is not None:
        if low.ndim and high.ndim and low.shape != high.shape:
            raise SpecError(f"lower has shape {low.shape}, upper {high.shape}")
        if (low > high).any():
            raise SpecError("a lower bound is above its upper bound")
    return low, high
