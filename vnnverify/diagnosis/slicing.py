# SPDX-License-Identifier: Apache-2.0
"""The smallest part of a model that still shows what is wrong with it, for a bug report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vnnverify.domains import interval
from vnnverify.errors import ModelError
from vnnverify.guard.comparison import Comparison, FindingKind
from vnnverify.guard.points import as_read
from vnnverify.importer import read_model
from vnnverify.importer.extraction import Parts
from vnnverify.importer.sessions import judges_of
from vnnverify.plugin.hookspecs import OperatorInfo
from vnnverify.properties import Property

__all__ = ["Failure", "Slice", "slice_of"]

DIFFERS = "differs from onnxruntime"
CONTRADICTS = "onnxruntime contradicts itself with its graph optimisation off"

_POINTS = 4
_SINGLY = 64
"""Nodes of a slice up to which each is left out in turn, to see whether the rest is enough."""

Seen = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Failure:
    """What is wrong, `cannot be read`, `cannot be bounded`, `DIFFERS` or `CONTRADICTS`; and the message."""

    kind: str
    reason: str

    def same(self, other: Failure | None) -> bool:
        """Whether the other is this one. How far results differ does not matter."""
        if other is None or other.kind != self.kind:
            return False
        return self.kind in (DIFFERS, CONTRADICTS) or other.reason == self.reason


@dataclass(frozen=True, slots=True)
class Slice:
    """A model with one failure. `query` is VNN-LIB text about it."""

    failure: Failure
    nodes: tuple[str, ...]
    total: int  # nodes of the model it was cut out of
    model: bytes
    query: str


def slice_of(data: bytes, node: str | None = None, operators: Iterable[OperatorInfo] = ()) -> Slice | None:
    """The smallest part found around the first node that fails, or around the named one; None if all is well.

    Raises:
        ModelError: the file is malformed, or there is no such node.
    """
    parts = Parts(data)
    cutter = _Cutter(parts, tuple(operators))
    if node is not None:
        index = parts.index(node)
        return cutter.around(index, lambda f: f is not None and _about(f, node))
    failure = cutter.failure(parts.whole, cutter.inputs)
    if failure is None:
        return None
    index = cutter.first(failure.kind)
    prefix = cutter.failure_of(range(index + 1))
    wanted = prefix or failure
    found = cutter.around(index, wanted.same)
    if found is None and prefix is not None:  # its siblings matter
        found = cutter.finished(frozenset(range(index + 1)), prefix)
    if found is None:
        raise ModelError(f"{failure.kind} ({failure.reason}), but no node is to blame")
    return found


def _about(failure: Failure, node: str) -> bool:
    named = f"node {node!r}" in failure.reason or f"node '{node}/" in failure.reason
    return named or failure.kind in (DIFFERS, CONTRADICTS)


class _Cutter:
    def __init__(self, parts: Parts, operators: tuple[OperatorInfo, ...]) -> None:
        self._parts = parts
        self._operators = operators
        generator = np.random.default_rng(0)
        tensors = self._tensors(parts.inputs_of(()))
        self.inputs = [
            {name: generator.random(shape).astype(dtype) for name, (shape, dtype) in tensors.items()}
            for _ in range(_POINTS)
        ]

    def _tensors(self, names: Sequence[str]) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        return dict(zip(names, self._parts.shapes(names), strict=True))

    def first(self, kind: str) -> int:
        """A node that fails so while what comes before it does not."""
        good, bad = 0, len(self._parts.names)
        while bad - good > 1:
            middle = (good + bad) // 2
            found = self.failure_of(range(middle))
            good, bad = (good, middle) if found is not None and found.kind == kind else (middle, bad)
        return bad - 1

    def around(self, index: int, wanted: Callable[[Failure | None], bool]) -> Slice | None:
        """The node with as few as possible of those before it that fail as wanted; None if none do."""
        layers = [self._parts.closed([index])]
        while more := self._parts.makers(layers[-1]):
            layers.append(self._parts.closed(layers[-1] | more))
        depth, step = 0, 1
        failing = -1
        while failing < 0:
            if wanted(self.failure_of(layers[depth])):
                failing = depth
            elif depth == len(layers) - 1:
                return None
            else:
                depth, step = min(depth + step, len(layers) - 1), 2 * step
        good = failing - step // 2 if failing else -1
        for depth in range(max(good + 1, 0), failing):
            if wanted(self.failure_of(layers[depth])):
                failing = depth
                break
        chosen = self._fewer(layers[failing], index, wanted)
        failure = self.failure_of(chosen)
        return None if failure is None else self.finished(chosen, failure)

    def _fewer(
        self, chosen: frozenset[int], index: int, wanted: Callable[[Failure | None], bool]
    ) -> frozenset[int]:
        for node in sorted(chosen) if len(chosen) <= _SINGLY else ():
            if node == index or node not in chosen:
                continue
            rest = self._leading_to(index, chosen - {node})
            if self._parts.closed(rest) == rest and wanted(self.failure_of(rest)):
                chosen = rest
        return chosen

    def _leading_to(self, index: int, among: frozenset[int]) -> frozenset[int]:
        found = frozenset([index])
        while more := self._parts.makers(found) & among:
            found |= more
        return found

    def failure_of(self, nodes: Iterable[int]) -> Failure | None:
        """What is wrong with these nodes as a model; nothing with those that lead to no tensor."""
        chosen = frozenset(nodes)
        outputs = self._parts.outputs_of(chosen)
        if not outputs:
            return None
        values = self._values(self._parts.inputs_of(chosen))
        return self.failure(self._parts.model(chosen, outputs, values[0] if values else None), values)

    def failure(self, data: bytes, values: Sequence[Seen]) -> Failure | None:
        """What is wrong with a model, at these values of its inputs."""
        try:
            model = read_model(data, operators=self._operators)
        except ModelError as error:
            return Failure("cannot be read", str(error))
        support = interval.supports(model.graph)
        if not support:
            return Failure("cannot be bounded", support.reason)
        if not values:
            return None
        points = torch.stack([_flat([one[spec.name] for spec in model.layout.inputs]) for one in values])
        try:
            found, _ = Comparison(model.graph, model.layout, [model]).at(
                as_read(points, model.layout), judges_of([model])
            )
        except Exception:  # it cannot be read again, or fails in torch: nothing is known against it
            return None
        if found is None or found.kind is FindingKind.OVERFLOW:
            return None
        if found.kind is FindingKind.CONTRADICTION:
            return Failure(CONTRADICTS, " but ".join(f"{value:.6g}" for value in found.theirs))
        return Failure(DIFFERS, f"{found.ours:.6g} instead of {found.theirs[0]:.6g}")

    def finished(self, chosen: frozenset[int], failure: Failure) -> Slice:
        """The slice of these nodes with its property."""
        names = self._parts.inputs_of(chosen)
        values = self._values(names)
        outputs = self._parts.outputs_of(chosen)
        results = self._parts.observed(chosen, outputs, values)
        seen = {**(values[0] if values else {}), **(results[0] if results else {})}
        count = sum(seen[key].size if key in seen else 1 for key in outputs)
        data = self._parts.model(chosen, outputs, seen)
        ends = values or [
            {name: np.full(shape, end) for name, (shape, _) in self._tensors(names).items()}
            for end in (0.0, 1.0)
        ]
        points = torch.stack([_flat([one[name] for name in names]) for one in ends]).nan_to_num()
        row = np.zeros(count)
        row[0] = 1.0
        if count > 1:
            row[1] = -1.0
        box = Property.box(points.amin(dim=0).numpy(), points.amax(dim=0).numpy())
        text = box.never(row, 0.0).to_vnnlib(count)
        names_of = self._parts.names
        return Slice(failure, tuple(names_of[k] for k in sorted(chosen)), len(names_of), data, text)

    def _values(self, names: Sequence[str]) -> list[dict[str, np.ndarray]]:
        """The tensors at a few random inputs of the model; none where onnxruntime cannot compute them."""
        if all(name in self.inputs[0] for name in names):
            return [{name: one[name] for name in names} for one in self.inputs]
        return self._parts.observed(self._parts.before(names), names, self.inputs)


def _flat(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.cat([torch.from_numpy(np.asarray(a, dtype=np.float64).reshape(-1)) for a in arrays])
