# SPDX-License-Identifier: Apache-2.0
"""Convolutions in one, two and three dimensions, and their transposes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from vnnverify.ir.op import Affine, Shape

__all__ = ["Conv", "ConvTranspose"]

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSE = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@dataclass(frozen=True, slots=True, eq=False)
class Conv(Affine):
    """Cross-correlation over (N, C, *spatial) with zero padding that may differ at both ends."""

    weight: Tensor  # (out_channels, in_channels / groups, *kernel)
    bias: Tensor | None  # (out_channels,)
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int = 1

    def _apply(self, x: Tensor, weight: Tensor) -> Tensor:
        flat = x.reshape(-1, *x.shape[2:])
        if any(self.before) or any(self.after):
            flat = functional.pad(flat, _widths(self.before, self.after))
        z = _CONV[len(self.strides)](
            flat, weight, stride=self.strides, dilation=self.dilations, groups=self.groups
        )
        return z.reshape(x.shape[0], -1, *z.shape[1:])

    def linear(self, *inputs: Tensor) -> Tensor:
        return self._apply(inputs[0], self.weight)

    @property
    def offset(self) -> Tensor | None:
        return None if self.bias is None else self.bias.reshape(-1, *(1,) * len(self.strides))

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self._apply(inputs[0], self.weight.abs())

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        spatial = shapes[0][2:]
        reached, missing = [], []
        for k, extent in enumerate(spatial):
            padded = extent + self.before[k] + self.after[k]
            full = (rows.shape[3 + k] - 1) * self.strides[k] + self.dilations[k] * (self.weight.shape[2 + k] - 1) + 1
            reached.append(full)
            missing.append(padded - full)
        back = _TRANSPOSE[len(self.strides)](
            rows.reshape(-1, *rows.shape[2:]),
            self.weight,
            stride=self.strides,
            dilation=self.dilations,
            groups=self.groups,
        )
        after = [m - a for m, a in zip(missing, self.after, strict=True)]
        back = functional.pad(back, _widths([-b for b in self.before], after))
        return (back.reshape(rows.shape[0], *shapes[0]),)

    @property
    def fan_in(self) -> int:
        return prod(self.weight.shape[1:])

    @property
    def fan_out(self) -> int:
        return (self.weight.shape[0] // self.groups) * prod(self.weight.shape[2:])


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose(Affine):
    """Transposed convolution over (N, C, *spatial); `before` and `after` crop the output."""

    weight: Tensor  # (in_channels, out_channels / groups, *kernel)
    bias: Tensor | None  # (out_channels,)
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]  # already reduced by the output padding
    dilations: tuple[int, ...]
    groups: int = 1

    def _apply(self, x: Tensor, weight: Tensor) -> Tensor:
        z = _TRANSPOSE[len(self.strides)](
            x.reshape(-1, *x.shape[2:]), weight, stride=self.strides, dilation=self.dilations, groups=self.groups
        )
        z = functional.pad(z, _widths([-b for b in self.before], [-a for a in self.after]))
        return z.reshape(x.shape[0], -1, *z.shape[1:])

    def linear(self, *inputs: Tensor) -> Tensor:
        return self._apply(inputs[0], self.weight)

    @property
    def offset(self) -> Tensor | None:
        return None if self.bias is None else self.bias.reshape(-1, *(1,) * len(self.strides))

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self._apply(inputs[0], self.weight.abs())

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        flat = functional.pad(rows.reshape(-1, *rows.shape[2:]), _widths(self.before, self.after))
        back = _CONV[len(self.strides)](
            flat, self.weight, stride=self.strides, dilation=self.dilations, groups=self.groups
        )
        return (back.reshape(rows.shape[0], *shapes[0]),)

    @property
    def fan_in(self) -> int:
        return (self.weight.shape[0] // self.groups) * prod(self.weight.shape[2:])

    @property
    def fan_out(self) -> int:
        return prod(self.weight.shape[1:])


def _widths(before: list[int] | tuple[int, ...], after: list[int] | tuple[int, ...]) -> list[int]:
    """Padding in torch's order: last axis first, both ends of an axis together."""
    return [w for pair in zip(reversed(before), reversed(after), strict=True) for w in pair]
