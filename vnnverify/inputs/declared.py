# SPDX-License-Identifier: Apache-2.0
"""The tensors that a VNN-LIB 2.0 text declares, as plain data: what a witness of it is written down by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

__all__ = ["Declared", "Networks"]

Networks = str | Mapping[str, str]
"""The path of a model; or one path for each network that a VNN-LIB 2.0 text names."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared tensor. Its values start at `start` in the flat inputs, or else in the flat outputs."""

    name: str
    type: str  # as in the text: float32, real, …
    shape: tuple[int, ...]
    kind: str  # input, hidden or output
    start: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def element(self, index: int) -> str:
        """The name of an element of flat index `index`, as `X_f[0,1]`; a scalar is its own."""
        places = []
        for extent in reversed(self.shape):
            index, place = divmod(index, extent)
            places.append(str(place))
        return f"{self.name}[{','.join(reversed(places))}]" if places else self.name

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Declared:
        """The tensor from its fields, also after a way through JSON.

        Raises:
            TypeError, KeyError: they are others.
        """
        return cls(**{**record, "shape": tuple(record["shape"])})
