# SPDX-License-Identifier: Apache-2.0
"""A checked property: every variable declared and numbered without gaps."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from vnnverify.errors import SpecError
from vnnverify.inputs.dialect import is_second, resembles_protobuf
from vnnverify.inputs.files import read_bytes
from vnnverify.vnnlib.ast import Expr, Variable
from vnnverify.vnnlib.declaration import NetworkDeclaration, element_name
from vnnverify.vnnlib.parse import Script, make_leaf, parse, place
from vnnverify.vnnlib.point import Point

__all__ = ["ParsedProperty", "load_property", "parse_property"]


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


def load_property(path: str | os.PathLike[str], *, strict: bool = False) -> ParsedProperty:
    """Read a VNN-LIB file of either version, plain or gzipped.

    Args:
        strict: refuse VNN-LIB 2.0 that is not to the letter of the standard.

    Raises:
        FileError: it cannot be read.
        SpecError: it is malformed.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        if resembles_protobuf(data):
            message = "is a binary file, as ONNX models are, not VNN-LIB text; is it in the model's place?"
            raise SpecError(message, source=os.fspath(path)) from error
        raise SpecError(
            f"not UTF-8 text (byte 0x{data[error.start]:02x}); save the file as UTF-8",
            line=before.count(b"\n") + 1,
            column=len(before) - before.rfind(b"\n"),
            source=os.fspath(path),
        ) from error
    return parse_property(text, os.fspath(path), strict=strict)


def parse_property(text: str, source: str = "", *, strict: bool = False) -> ParsedProperty:
    """Read and check VNN-LIB text of either version.

    Args:
        strict: refuse VNN-LIB 2.0 that is not to the letter of the standard.

    Raises:
        SpecError: a syntax error, an undeclared, duplicate or badly numbered variable, an unknown sort.
    """
    if is_second(text):
        from vnnverify.vnnlib.second import parse_second

        return parse_second(text, source, strict=strict)
    script = parse(text, source)
    text = text.removeprefix("\ufeff")
    counts = _declared(script, text, source)
    for variable, offset in script.used:
        if variable.index >= counts[variable.kind]:
            message = f"variable {variable.name} is not declared; add (declare-const {variable.name} Real)"
            raise _error(message, text, offset, source)
    if not script.assertions:
        raise SpecError("no (assert …) found; an empty property is true everywhere", source=source)
    return ParsedProperty(counts["X"], counts["Y"], script.assertions, script.offsets, source, text)


def _error(message: str, text: str, offset: int, source: str) -> SpecError:
    line, column = place(text, offset)
    return SpecError(message, line=line, column=column, source=source)


def _declared(script: Script, text: str, source: str) -> dict[str, int]:
    """How many X and Y there are."""
    found: dict[str, dict[int, int]] = {"X": {}, "Y": {}}  # kind -> index -> offset
    for declaration in script.declarations:
        name, offset = declaration.name, declaration.offset
        leaf = make_leaf(name)
        if not isinstance(leaf, Variable):
            message = f"variable {name[:40]!r}: inputs are called X_0, X_1, …, outputs Y_0, Y_1, …"
            raise _error(message, text, offset, source)
        if declaration.sort != "Real":
            message = f"{name}: sort {declaration.sort[:40]!r} is not supported; use Real"
            raise _error(message, text, offset, source)
        if leaf.index in found[leaf.kind]:
            first = place(text, found[leaf.kind][leaf.index])[0]
            raise _error(f"{name} is declared twice, first in line {first}", text, offset, source)
        found[leaf.kind][leaf.index] = offset
    for kind, indices in found.items():
        if not indices:
            raise SpecError(
                f"no variable {kind}_0 is declared; add (declare-const {kind}_0 Real)", source=source
            )
        missing = min(set(range(len(indices))) - indices.keys(), default=None)
        if missing is not None:
            last = max(indices)
            message = f"{kind}_{last} is declared, but {kind}_{missing} is not; number them without gaps"
            raise _error(message, text, indices[last], source)
    return {kind: len(indices) for kind, indices in found.items()}
