# SPDX-License-Identifier: Apache-2.0
"""The answer as VNN-LIB 2.0 asks for it: the verdict's word, then each declared tensor with its values.

A tensor is a line `name type [shape]` and one value per line, the last axis fastest. Networks come in the
order of the text, of each the inputs, then the hidden nodes, then the outputs. Numbers are written without
an exponent, which the language has none of, and read back to the very same floats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import zip_longest
from math import prod

from vnnverify.errors import SpecError
from vnnverify.inputs.declared import Declared
from vnnverify.results.report import Report, Witness
from vnnverify.verdict import Verdict

__all__ = ["Vnnlib2Writer", "assigned", "read_assignment", "values_of"]

_WORDS = {Verdict.TIMEOUT: "timed-out", Verdict.ERROR: "unknown"}
_HEADER = re.compile(r"(\S+)\s+(\S+)\s+\[([0-9,\s]*)\]")


class Vnnlib2Writer:
    """sat | unsat | unknown | timed-out, and the assignment."""

    name = "vnnlib2"

    def __init__(self, *, assignment: bool = True) -> None:
        self._assignment = assignment

    def write(self, report: Report) -> str:
        """The lines; the verdict alone if the assignment is not wanted here."""
        lines = [_WORDS.get(report.verdict, report.verdict.value)]
        if report.witness is not None and self._assignment:
            for tensor in _tensors(report.witness):
                shape = ",".join(map(str, tensor.shape))
                lines.append(f"{tensor.name} {tensor.type} [{shape}]")
                lines.extend(_number(value, tensor.type) for value in values_of(report.witness, tensor))
        return "\n".join(lines) + "\n"


def values_of(witness: Witness, tensor: Declared) -> tuple[float, ...]:
    """The values of a tensor in a witness."""
    flat = witness.x if tensor.kind == "input" else witness.y
    return flat[tensor.start : tensor.start + tensor.size]


def read_assignment(text: str, source: str = "") -> Witness:
    """The values of an assignment, in the order of the text. Which tensors are inputs is not told there: all
    stand in `x`, until `assigned` sorts them.

    Raises:
        SpecError: it is malformed.
    """
    tensors: list[Declared] = []
    values: list[float] = []
    wanted = 0
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or (number == 1 and stripped == "sat"):
            continue
        if len(values) < wanted:
            try:
                values.append(float(stripped))
            except ValueError:
                raise SpecError(f"{stripped[:40]!r} is not a number", line=number, source=source) from None
            continue
        header = _HEADER.fullmatch(stripped)
        if header is None:
            raise SpecError("expected a line `name type [shape]`", line=number, source=source)
        shape = tuple(int(part) for part in header[3].split(",") if part.strip())
        tensors.append(Declared(header[1], header[2], shape, "input", wanted))
        wanted += prod(shape)
    if len(values) < wanted or not tensors:
        raise SpecError(f"the assignment ends after {len(values)} of {wanted} values", source=source)
    return Witness(tuple(values), (), tensors=tuple(tensors))


def assigned(witness: Witness, declared: Sequence[Declared], source: str = "") -> Witness:
    """What `read_assignment` read as the values of the tensors that a property declares.

    Raises:
        SpecError: they are others, in name, shape or order.
    """
    for found, wanted in zip_longest(witness.tensors, declared):
        if found is None or wanted is None or (found.name, found.shape) != (wanted.name, wanted.shape):
            expected = "no more" if wanted is None else f"{wanted.name} {list(wanted.shape)}"
            got = "nothing" if found is None else f"{found.name} {list(found.shape)}"
            raise SpecError(
                f"the assignment holds {got} where the property declares {expected}", source=source
            )
    pairs = list(zip(witness.tensors, declared, strict=True))
    flat: dict[bool, list[float]] = {True: [], False: []}
    for found, wanted in sorted(pairs, key=lambda pair: pair[1].start):
        flat[wanted.kind == "input"].extend(values_of(witness, found))
    return Witness(tuple(flat[True]), tuple(flat[False]), tensors=tuple(declared))


def _tensors(witness: Witness) -> tuple[Declared, ...]:
    """The declared ones; for VNN-LIB 1.0 all inputs as X and all outputs as Y."""
    return witness.tensors or (
        Declared("X", "real", (len(witness.x),), "input", 0),
        Declared("Y", "real", (len(witness.y),), "output", 0),
    )


def _number(value: float, kind: str) -> str:
    if kind.startswith(("int", "uint", "bool")):
        return str(int(value))
    return format(Decimal(repr(value)), "f")
