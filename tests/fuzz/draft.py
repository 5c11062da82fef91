# SPDX-License-Identifier: Apache-2.0
"""A model in the making, to which operators with random attributes are added."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

__all__ = ["Draft"]


class Draft:
    """Nodes so far, of which the last value is called `name`."""

    def __init__(self, rng: np.random.Generator, opset: int, name: str, shape: Sequence[int]) -> None:
        self.rng, self.opset, self.name, self.shape = rng, opset, name, tuple(shape)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.earlier: list[tuple[str, tuple[int, ...]]] = []  # values before the last and their shapes
        self.kind: Any = np.float32  # of the last value

    def copy(self) -> Draft:
        other = copy.copy(self)
        other.nodes, other.constants = list(self.nodes), dict(self.constants)
        other.earlier = list(self.earlier)
        return other

    @property
    def rank(self) -> int:
        return len(self.shape)

    def const(self, value: Any, kind: Any = None) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype=self.kind if kind is None else kind)
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """A node; attributes that are None are left out."""
        made = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        given = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(kind, list(inputs), made, **given))
        self.name = made[0]
        return made

    def pick(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def axis(self, beyond: int = 0) -> int:
        rank = self.rank + beyond
        return int(self.rng.integers(-rank, rank))

    def axes(self) -> list[int]:
        count = int(self.rng.integers(1, self.rank + 1))
        chosen = self.rng.choice(self.rank, count, replace=False).tolist()
        return [int(a) - (self.rank if self.rng.random() < 0.3 else 0) for a in chosen]

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def broadcast(self) -> np.ndarray:
        """A constant of a shape that broadcasts with the value's, perhaps to more axes."""
        shape = [n if self.rng.random() < 0.6 else 1 for n in self.shape]
        shape = shape[int(self.rng.integers(0, len(shape) + 1)) :]
        if self.rng.random() < 0.15:
            shape = [2, *[1] * (self.rank - len(shape)), *shape]
        return self.normal(*shape) * self.pick(1.0, 1.0, 3.0)
