# SPDX-License-Identifier: Apache-2.0
"""The standard's own node tests as models of one varying input."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

__all__ = ["Variant", "variants"]

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
KNOWN = (
    *FLOATS,
    TensorProto.BOOL,
    *(getattr(TensorProto, f"{u}INT{n}") for u in ("", "U") for n in (8, 16, 32, 64)),
)
"""Types that onnxruntime gives to numpy; outputs of others are cast to floats."""
NEWEST_OPSET, NEWEST_IR = 26, 13
"""What onnxruntime loads; newer tests are lowered to it, where they are valid there too."""


@dataclass(frozen=True, eq=False)
class Variant:
    """One test of the standard, of which one float input varies and the others are initializers."""

    name: str
    index: int  # which of the float inputs varies
    model: onnx.ModelProto
    given: np.ndarray  # what the test gives for it
    expected: tuple[Any, ...]  # and wants to see

    @property
    def id(self) -> str:
        """The test's name, and the input if it is not the first."""
        return self.name if not self.index else f"{self.name}, input {self.index}"

    @property
    def operator(self) -> str:
        """The first operator that is no constant."""
        return next(node.op_type for node in self.model.graph.node if node.op_type != "Constant")

    @property
    def lowered(self) -> bytes:
        """The model in versions that onnxruntime loads."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        copy.ir_version = min(copy.ir_version, NEWEST_IR)
        for entry in copy.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = min(entry.version, NEWEST_OPSET)
        return copy.SerializeToString()

    def points(self, count: int) -> Iterator[np.ndarray]:
        """The test's own input, if it is finite, and some nearby."""
        if np.isfinite(self.given).all():
            yield self.given
        generator = np.random.default_rng(5)
        tame = np.nan_to_num(self.given.astype(np.float64), nan=0.25, posinf=3.0, neginf=-3.0)
        for _ in range(count):
            noise = generator.uniform(-1.0, 1.0, tame.shape)
            near = np.clip(tame, -1e3, 1e3) * (1 + 0.01 * noise) + 0.003 * noise
            yield np.asarray(near).astype(self.given.dtype)


@cache
def variants() -> tuple[Variant, ...]:
    """Every test of the standard with tensors throughout, once for each input of floating-point numbers."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tests' own making
        cases = collect_testcases(None)
    return tuple(variant for case in cases for variant in _of(case))


def _of(case: Any) -> Iterator[Variant]:
    graph = case.model.graph
    if not case.data_sets or any(
        v.type.WhichOneof("value") != "tensor_type" for v in (*graph.input, *graph.output)
    ):
        return
    given, expected = case.data_sets[0]
    arrays = {v.name: _tensor(array, v) for v, array in zip(graph.input, given, strict=True)}
    floats = [
        v.name for v in graph.input if v.type.tensor_type.elem_type in FLOATS and prod(arrays[v.name].dims)
    ]
    for index, name in enumerate(floats):
        model = _with_constants(case.model, arrays, name)
        yield Variant(
            case.name, index, model, np.asarray(numpy_helper.to_array(arrays[name])), tuple(expected)
        )


def _tensor(array: Any, declared: ValueInfoProto) -> TensorProto:
    """What a test gives for an input, in the type that the input has."""
    kind = declared.type.tensor_type.elem_type
    tensor = TensorProto()
    if isinstance(array, TensorProto):
        tensor.CopyFrom(array)
        tensor.name = declared.name
        return tensor
    found = numpy_helper.from_array(np.asarray(array), declared.name)
    if found.data_type == kind:
        return found
    return helper.make_tensor(declared.name, kind, np.shape(array), np.asarray(array).tobytes(), raw=True)


def _with_constants(
    model: onnx.ModelProto, arrays: Mapping[str, TensorProto], varying: str
) -> onnx.ModelProto:
    """A copy whose inputs other than one are initializers, and whose outputs numpy knows."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.initializer.extend(tensor for name, tensor in arrays.items() if name != varying)
    kept = [v for v in copy.graph.input if v.name == varying]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    _cast_narrow(copy.graph.output, copy.graph)
    return copy


def _cast_narrow(outputs: Sequence[ValueInfoProto], graph: onnx.GraphProto) -> None:
    for value in outputs:
        if value.type.tensor_type.elem_type not in KNOWN:
            node = helper.make_node("Cast", [value.name], [f"{value.name}_float"], to=TensorProto.FLOAT)
            graph.node.append(node)
            value.name = node.output[0]
            value.type.tensor_type.elem_type = TensorProto.FLOAT
