# SPDX-License-Identifier: Apache-2.0
"""Operators that only move numbers around, or bring constants in."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Self

import torch
from torch import Tensor

from vnnverify.ir.op import Affine, Shape, flat

__all__ = ["Concat", "Constant", "Expand", "Pad", "Reshape", "Select", "Transpose"]


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Affine):
    """A constant of shape (*shape); takes no inputs."""

    value: Tensor  # (*shape)

    def linear(self, *inputs: Tensor) -> Tensor:
        return torch.zeros_like(self.value)[None]

    @property
    def offset(self) -> Tensor | None:
        return self.value

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return torch.zeros_like(self.value)[None]


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Affine):
    """The same elements in C order under another shape: Reshape, Flatten, Squeeze, Unsqueeze."""

    shape: Shape

    def linear(self, *inputs: Tensor) -> Tensor:
        return inputs[0].reshape(inputs[0].shape[0], *self.shape)

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (rows.reshape(rows.shape[0], *shapes[0]),)


@dataclass(frozen=True, slots=True, eq=False)
class Transpose(Affine):
    """Axes permuted: output axis k is input axis perm[k]."""

    perm: tuple[int, ...]

    def linear(self, *inputs: Tensor) -> Tensor:
        return inputs[0].permute(0, *(axis + 1 for axis in self.perm))

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        back = sorted(range(len(self.perm)), key=self.perm.__getitem__)
        return (rows.permute(0, *(axis + 1 for axis in back)),)


@dataclass(frozen=True, slots=True, eq=False)
class Select(Affine):
    """Elements picked by position: Slice, Split, Gather with constant indices, nearest Resize, Tile."""

    index: Tensor  # (outputs,) int64, into the flattened input
    shape: Shape  # of the output
    repeats: int  # how often the most used input element is picked

    @classmethod
    def of(cls, index: Tensor, shape: Shape) -> Self:
        """From an index tensor of any shape."""
        flat = index.reshape(-1)
        most = int(torch.bincount(flat).max()) if flat.numel() else 0
        return cls(flat, shape, most)

    def linear(self, *inputs: Tensor) -> Tensor:
        return flat(inputs[0])[:, self.index].reshape(inputs[0].shape[0], *self.shape)

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        back = rows.new_zeros(rows.shape[0], prod(shapes[0]))
        back = back.index_add(1, self.index, flat(rows))
        return (back.reshape(rows.shape[0], *shapes[0]),)

    @property
    def fan_out(self) -> int:
        """An element that is taken several times has that many rows to add up."""
        return 0 if self.repeats <= 1 else self.repeats


@dataclass(frozen=True, slots=True, eq=False)
class Concat(Affine):
    """Inputs joined along an axis."""

    axis: int  # of the ONNX shape, not negative

    def linear(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=self.axis + 1)

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return torch.split(rows, [shape[self.axis] for shape in shapes], dim=self.axis + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Pad(Affine):
    """A border of zeros; negative widths crop."""

    before: tuple[int, ...]  # per axis
    after: tuple[int, ...]

    def linear(self, *inputs: Tensor) -> Tensor:
        return torch.nn.functional.pad(inputs[0], self._widths())

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (torch.nn.functional.pad(rows, [-w for w in self._widths()]),)

    def _widths(self) -> list[int]:
        return [w for pair in zip(reversed(self.before), reversed(self.after), strict=True) for w in pair]


@dataclass(frozen=True, slots=True, eq=False)
class Expand(Affine):
    """Broadcast to a larger shape."""

    shape: Shape
    copies: int  # how often each input element appears in the result

    @classmethod
    def of(cls, old: Shape, shape: Shape) -> Self:
        """From the shapes before and after."""
        return cls(shape, prod(shape) // max(1, prod(old)))

    def linear(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        missing = len(self.shape) - (x.dim() - 1)
        return x.reshape(x.shape[0], *(1,) * missing, *x.shape[1:]).expand(x.shape[0], *self.shape)

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        padded = (1,) * (len(self.shape) - len(shapes[0])) + tuple(shapes[0])
        axes = [k + 1 for k, (was, now) in enumerate(zip(padded, self.shape, strict=True)) if was != now]
        back = rows.sum(dim=axes, keepdim=True) if axes else rows
        return (back.reshape(rows.shape[0], *shapes[0]),)

    @property
    def fan_out(self) -> int:
        """Each element has as many rows to add up as it has copies."""
        return 0 if self.copies <= 1 else self.copies
