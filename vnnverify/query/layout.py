# SPDX-License-Identifier: Apache-2.0
"""How flat inputs and outputs map to the named tensors of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from vnnverify.inputs.declared import Declared
from vnnverify.ir.op import Shape
from vnnverify.query.representable import is_whole

__all__ = ["Layout", "TensorSpec"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of the model: its ONNX name, shape (dynamic axes 1) and numpy dtype name.

    An output of maps counts as the tensor of their numbers, a row for each map, in the order of `classes`.
    """

    name: str
    shape: Shape
    dtype: str
    classes: tuple[int | str, ...] = ()  # keys of the maps; none of a tensor
    stated: Shape = ()  # the shape that the model states of an output which has another


@dataclass(frozen=True, slots=True)
class Layout:
    """How flat x and y map to named tensors, in order, flattened in C order and concatenated.

    `inputs` are those of all models. The graph may have fewer, where a property sets inputs equal.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tensors: tuple[Declared, ...] = ()  # the same as a VNN-LIB 2.0 text declares them
    columns: tuple[int, ...] | None = None  # which graph input each input is; None: they are the same

    @property
    def whole(self) -> dict[int, str]:
        """The types of those of the graph's inputs that hold whole numbers, by the input's index."""
        found: dict[int, str] = {}
        start = 0
        for spec in self.inputs:
            size = math.prod(spec.shape)
            if is_whole(spec.dtype):
                own = range(start, start + size)
                found.update(
                    dict.fromkeys(
                        own if self.columns is None else map(self.columns.__getitem__, own), spec.dtype
                    )
                )
            start += size
        return found

    def gather(self, x: Tensor) -> Tensor:
        """The graph's inputs (n,) from those of the models (all,); of equal ones, any."""
        if self.columns is None:
            return x
        found = x.new_zeros(max(self.columns, default=-1) + 1)
        found[list(self.columns)] = x
        return found
