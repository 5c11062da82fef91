# SPDX-License-Identifier: Apache-2.0
"""Properties about two runs, of one network or of two, written down as VNN-LIB 2.0."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

from vnnverify.errors import SpecError
from vnnverify.properties.input_set import InputSet
from vnnverify.properties.text import Names, all_of, any_of, exact
from vnnverify.vnnlib.declaration import TensorDeclaration, element_name

__all__ = ["EqualOutputs", "Interface", "Monotone", "Relation", "RelationalProperty"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """The shapes of a model's inputs and outputs, in order."""

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]

    @property
    def output_count(self) -> int:
        """How many numbers the outputs hold."""
        return sum(map(prod, self.outputs))


class Relation(Protocol):
    """How two runs are related, f on X and g on other inputs, and what violates that.

    Elements of inputs and outputs are called by the functions that are given.
    """

    @property
    def one_model(self) -> bool:
        """Whether both runs are of one network."""
        ...

    @property
    def same_inputs(self) -> bool:
        """Whether both runs are on equal inputs."""
        ...

    def inputs(self, x: Names, other: Names, size: int) -> list[str]:
        """What holds of the inputs of both runs."""
        ...

    def violations(self, y: Names, other: Names, size: int) -> list[str]:
        """The conditions on the outputs of which each violates the requirement."""
        ...


@dataclass(frozen=True, slots=True)
class Monotone:
    """As one input grows and the others stay, one output does not fall by more than `tolerance`; or rise."""

    input: int
    output: int
    decreasing: bool
    tolerance: float

    @property
    def one_model(self) -> bool:
        return True

    @property
    def same_inputs(self) -> bool:
        return False

    def inputs(self, x: Names, other: Names, size: int) -> list[str]:
        same = [f"(== {other(k)} {x(k)})" for k in range(size) if k != self.input]
        return [*same, f"(>= {other(self.input)} {x(self.input)})"]

    def violations(self, y: Names, other: Names, size: int) -> list[str]:
        if self.output >= size:
            raise SpecError(f"output {self.output}: the network has outputs 0 to {size - 1}")
        before, after = y(self.output), other(self.output)
        return [_exceeds(*((after, before) if self.decreasing else (before, after)), self.tolerance)]


@dataclass(frozen=True, slots=True)
class EqualOutputs:
    """At equal inputs, no output of the one differs from that of the other by more than `tolerance`."""

    tolerance: float

    @property
    def one_model(self) -> bool:
        return False

    @property
    def same_inputs(self) -> bool:
        return True

    def inputs(self, x: Names, other: Names, size: int) -> list[str]:
        return [f"(== {other(k)} {x(k)})" for k in range(size)]

    def violations(self, y: Names, other: Names, size: int) -> list[str]:
        pairs = [(y(k), other(k)) for k in range(size)]
        return [_exceeds(*pair, self.tolerance) for a, b in pairs for pair in ((a, b), (b, a))]


@dataclass(frozen=True, slots=True, eq=False)
class RelationalProperty:
    """What must hold of two runs on inputs in some regions.

    The second run is of the same network (`Property.monotone`), or of another (`Property.equal_outputs`):
    then `vnnverify.verify` is given both models, by the names of `networks`.
    """

    regions: tuple[InputSet, ...]
    shape: Shape  # of the network's input, as given
    relation: Relation
    networks: tuple[str, str] = ("f", "g")

    @property
    def inputs(self) -> int:
        """How many inputs a network has."""
        return int(self.regions[0].lower.size)

    def to_vnnlib(self, outputs: int | None = None, *, models: Sequence[Interface] = ()) -> str:
        """The property as VNN-LIB 2.0 text: satisfiable if and only if the property is violated.

        Args:
            outputs: how many a network has. Inputs and outputs are then declared flat.
            models: the tensors of the networks instead, as the letter of the standard wants.

        Raises:
            SpecError: the number of outputs is missing, or the models do not fit.
        """
        if not models:
            if outputs is None:
                raise SpecError("how many outputs are there? give save(path, outputs=10), or to_vnnlib(10)")
            models = [Interface(((self.inputs,),), ((outputs,),))]
        first, second = models[0], models[-1]
        for model, name in zip((first, second), self.networks, strict=True):
            found = sum(map(prod, model.inputs))
            if found != self.inputs:
                raise SpecError(f"the property has {self.inputs} inputs, network {name} has {found}")
        if first.output_count != second.output_count:
            counts = f"{first.output_count} and {second.output_count}"
            raise SpecError(f"the networks {' and '.join(self.networks)} have {counts} outputs")
        lines = ["(vnnlib-version <2.0>)"]
        names: list[tuple[Names, Names]] = []
        for model, name in zip((first, second), self.networks, strict=True):
            equal = f" (equal-to {self.networks[0]})" if names and self.relation.one_model else ""
            tensors = [_tensors(s, k, name) for s, k in ((model.inputs, "input"), (model.outputs, "output"))]
            lines += [f"(declare-network {name}{equal}", *map(_declared, tensors[0] + tensors[1]), ")"]
            names.append((_names(tensors[0]), _names(tensors[1])))
        (x, y), (other_x, other_y) = names
        lines += [f"(assert {part})" for part in self.relation.inputs(x, other_x, self.inputs)]
        runs = (x,) if self.relation.same_inputs else (x, other_x)
        regions = [[part for run in runs for part in region.text(run)] for region in self.regions]
        if len(regions) == 1:
            lines += [f"(assert {part})" for part in regions[0]]
        else:
            lines.append(f"(assert {any_of([all_of(parts) for parts in regions])})")
        lines.append(f"(assert {any_of(self.relation.violations(y, other_y, first.output_count))})")
        return "\n".join(lines) + "\n"

    def save(self, path: str | os.PathLike[str], outputs: int | None = None) -> None:
        """Write the VNN-LIB 2.0 text to a file.

        Raises:
            FileError: it cannot be written.
            SpecError: the number of outputs is missing.
        """
        from vnnverify.results import write_file

        write_file(os.fspath(path), self.to_vnnlib(outputs))

    def __repr__(self) -> str:
        kind = type(self.relation).__name__
        return f"<RelationalProperty: {kind}, {self.inputs} inputs, {len(self.regions)} regions>"


def _exceeds(greater: str, less: str, tolerance: float) -> str:
    return f"(> (- {greater} {less}) {exact(tolerance)})" if tolerance else f"(> {greater} {less})"


def _tensors(shapes: Sequence[Shape], kind: str, network: str) -> list[TensorDeclaration]:
    letter = "X" if kind == "input" else "Y"
    names = [f"{letter}_{network}" + (f"_{k}" if len(shapes) > 1 else "") for k in range(len(shapes))]
    starts = [sum(map(prod, shapes[:k])) for k in range(len(shapes))]
    return [
        TensorDeclaration(name, "real", shape, kind, start)
        for name, shape, start in zip(names, shapes, starts, strict=True)
    ]


def _declared(tensor: TensorDeclaration) -> str:
    return f"    (declare-{tensor.kind} {tensor.name} {tensor.type} [{','.join(map(str, tensor.shape))}])"


def _names(tensors: Sequence[TensorDeclaration]) -> Names:
    elements = [element_name(t, t.start + k) for t in tensors for k in range(t.size)]
    return lambda index: elements[index]
