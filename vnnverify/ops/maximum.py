# SPDX-License-Identifier: Apache-2.0
"""Maxima: over windows, over axes, of several variables."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from vnnverify.ir.op import Maximum, Shape

__all__ = ["Max", "MaxPool", "ReduceMax"]


@dataclass(frozen=True, slots=True, eq=False)
class MaxPool(Maximum):
    """Window maxima over the spatial axes of (N, C, *spatial); the padding never wins."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilations: tuple[int, ...]

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        pool = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[
            len(self.kernel)
        ]
        widths = [w for pair in zip(reversed(self.before), reversed(self.after), strict=True) for w in pair]
        padded = functional.pad(x.reshape(-1, *x.shape[2:]), widths, value=-float("inf"))
        z = pool(padded, self.kernel, stride=self.strides, dilation=self.dilations)
        return z.reshape(x.shape[0], -1, *z.shape[1:])

    def groups(self, *shapes: Shape) -> Tensor:
        """The positions of each window; what lies in the padding repeats its last one."""
        shape = shapes[0]
        places = torch.arange(prod(shape)).reshape(shape)
        widths = [w for pair in zip(reversed(self.before), reversed(self.after), strict=True) for w in pair]
        window = functional.pad(places, widths, value=-1)
        for k, size in enumerate(self.kernel):  # each axis becomes (positions, window)
            reach = self.dilations[k] * (size - 1) + 1
            window = window.unfold(2 + k, reach, self.strides[k])[..., :: self.dilations[k]]
        flat = window.reshape(*window.shape[: len(shape)], -1).reshape(-1, prod(self.kernel))
        return torch.where(flat < 0, flat.amax(dim=1, keepdim=True), flat)


@dataclass(frozen=True, slots=True, eq=False)
class ReduceMax(Maximum):
    """Maxima over axes."""

    axes: tuple[int, ...]  # of the ONNX shape, not negative
    keepdims: bool

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0].amax(dim=[a + 1 for a in self.axes], keepdim=self.keepdims)

    def groups(self, *shapes: Shape) -> Tensor:
        shape = shapes[0]
        places = torch.arange(prod(shape)).reshape(shape)
        kept = [k for k in range(len(shape)) if k not in self.axes]
        return places.permute(*kept, *self.axes).reshape(prod(shape[k] for k in kept), -1)


@dataclass(frozen=True, slots=True, eq=False)
class Max(Maximum):
    """Elementwise maximum of equally shaped inputs."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.stack(inputs).amax(dim=0)

    def groups(self, *shapes: Shape) -> Tensor:
        size = prod(shapes[0])
        return torch.arange(size)[:, None] + size * torch.arange(len(shapes))[None]
