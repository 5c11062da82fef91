# SPDX-License-Identifier: Apache-2.0
"""The networks and tensors that a VNN-LIB 2.0 text declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

__all__ = ["FLOATS", "RANGES", "NetworkDeclaration", "TensorDeclaration", "element_name"]

FLOATS = frozenset(("float16", "float32", "float64", "bfloat16"))
"""Element types whose arithmetic rounds. `real` is none of them."""

RANGES: Mapping[str, tuple[float, float]] = {
    "float16": (-65504.0, 65504.0),
    "bfloat16": (-(2.0**128 - 2.0**120), 2.0**128 - 2.0**120),
    "float32": (-(2.0**128 - 2.0**104), 2.0**128 - 2.0**104),
    **{f"int{bits}": (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) for bits in (8, 16, 32)},
    **{f"uint{bits}": (0.0, 2.0**bits - 1) for bits in (8, 16, 32)},
}
"""The least and the greatest finite number of those element types for which their difference is no more than
a float64 can hold."""


@dataclass(frozen=True, slots=True)
class TensorDeclaration:
    """An input, hidden node or output of a network. `start` is where its elements begin among the variables
    X of the property if it is an input, else among the variables Y."""

    name: str
    type: str  # float32, int64, …, or real; int: whole numbers of the model's type
    shape: tuple[int, ...]
    kind: str  # input, hidden or output
    start: int
    node: str = ""  # the name of its value in the ONNX model; of a hidden node always

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class NetworkDeclaration:
    """A network: what it is called, which other one it equals or resembles, and its tensors."""

    name: str
    inputs: tuple[TensorDeclaration, ...]
    hidden: tuple[TensorDeclaration, ...]
    outputs: tuple[TensorDeclaration, ...]
    equal_to: str = ""
    isomorphic_to: str = ""

    @property
    def tensors(self) -> Iterator[TensorDeclaration]:
        """All of them, in the order of the text."""
        yield from self.inputs
        yield from self.hidden
        yield from self.outputs


def element_name(tensor: TensorDeclaration, index: int) -> str:
    """The text's name of the element at `index` among the property's variables: X[0,3], or X for a scalar."""
    if not tensor.shape:
        return tensor.name
    place = np.unravel_index(index - tensor.start, tensor.shape)
    return f"{tensor.name}[{','.join(str(int(k)) for k in place)}]"
