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

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Conv(Affine):
    """Cross-correlation over (N, C, *spatial) with zero padding that may differ at both ends."""

    weight: Tensor  # (out_channels, in_channels / groups, *kernel)
    bias: Tensor | None  # (out_channels,)
    strides: Sizes
    before: Sizes  # zeros in front of each spatial axis
    after: Sizes
    dilations: Sizes
    groups: int = 1
    roundings: int = 0  # that each parameter has gone through since it was stored

    def linear(self, *inputs: Tensor) -> Tensor:
        return _correlate(self, inputs[0], self.weight)

    @property
    def offset(self) -> Tensor | None:
        return None if self.bias is None else self.bias.reshape(-1, *(1,) * len(self.strides))

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return _correlate(self, inputs[0], self.weight.abs())

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (_spread(self, rows, self.weight, shapes[0][2:]),)

    @property
    def fan_in(self) -> int:
        return prod(self.weight.shape[1:])

    @property
    def fan_out(self) -> int:
        """At most: every output channel of the group, at every place of the kernel."""
        return (self.weight.shape[0] // self.groups) * prod(self.weight.shape[2:])


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose(Affine):
    """Transposed convolution over (N, C, *spatial); `before` and `after` crop the output."""

    weight: Tensor  # (in_channels, out_channels / groups, *kernel)
    bias: Tensor | None  # (out_channels,)
    strides: Sizes
    before: Sizes
    after: Sizes  # less the output padding, so it may be negative
    dilations: Sizes
    groups: int = 1
    roundings: int = 0  # that each parameter has gone through since it was stored

    def linear(self, *inputs: Tensor) -> Tensor:
        return _spread(self, inputs[0], self.weight, self._extent(inputs[0].shape[3:]))

    @property
    def offset(self) -> Tensor | None:
        return None if self.bias is None else self.bias.reshape(-1, *(1,) * len(self.strides))

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return _spread(self, inputs[0], self.weight.abs(), self._extent(inputs[0].shape[3:]))

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (_correlate(self, rows, self.weight),)

    def _extent(self, spatial: Sizes) -> Sizes:
        reached = _reached(self, spatial)
        return tuple(n - b - a for n, b, a in zip(reached, self.before, self.after, strict=True))

    @property
    def fan_in(self) -> int:
        return (self.weight.shape[0] // self.groups) * prod(self.weight.shape[2:])

    @property
    def fan_out(self) -> int:
        return prod(self.weight.shape[1:])


def _correlate(op: Conv | ConvTranspose, x: Tensor, weight: Tensor) -> Tensor:
    """Cross-correlation of x (batch, N, C, *spatial), padded by `before` and `after`."""
    flat = x.reshape(-1, *x.shape[2:])
    padding: Sizes = op.before
    if op.before != op.after or min(op.before) < 0:
        flat = functional.pad(flat, _widths(op.before, op.after))
        padding = (0,) * len(op.before)
    z = _CONV[len(op.strides)](
        flat, weight, stride=op.strides, padding=padding, dilation=op.dilations, groups=op.groups
    )
    return z.reshape(x.shape[0], -1, *z.shape[1:])


def _spread(op: Conv | ConvTranspose, x: Tensor, weight: Tensor, extent: Sizes) -> Tensor:
    """The transpose of `_correlate`: x (batch, N, C, *spatial) to a result of spatial size `extent`."""
    flat = x.reshape(-1, *x.shape[2:])
    transpose = _TRANSPOSE[len(op.strides)]
    missing = tuple(
        n - (r - b - b) for n, r, b in zip(extent, _reached(op, flat.shape[2:]), op.before, strict=True)
    )
    fits = all(0 <= m < max(s, d) for m, s, d in zip(missing, op.strides, op.dilations, strict=True))
    if fits and min(op.before) >= 0:
        z = transpose(
            _arranged(flat, op.strides),
            weight,
            stride=op.strides,
            padding=op.before,
            output_padding=missing,
            groups=op.groups,
            dilation=op.dilations,
        ).contiguous()
    else:  # the crop differs at both ends by more than torch can express
        full = transpose(flat, weight, stride=op.strides, groups=op.groups, dilation=op.dilations)
        after = [m - b for m, b in zip(missing, op.before, strict=True)]
        z = functional.pad(full, _widths([-b for b in op.before], after))
    return z.reshape(x.shape[0], -1, *z.shape[1:])


def _arranged(x: Tensor, strides: Sizes) -> Tensor:
    """Images (N, C, H, W) as a strided transposed convolution takes them fastest: on a CPU, float32 with the
    channels last, up to four times as fast where the result does not fit into a cache."""
    if max(strides) > 1 and x.dim() == 4 and x.dtype == torch.float32 and x.device.type == "cpu":
        return x.contiguous(memory_format=torch.channels_last)
    return x


def _reached(op: Conv | ConvTranspose, spatial: Sizes) -> Sizes:
    """Spatial size that a transposed convolution covers before anything is cropped."""
    parts = zip(spatial, op.strides, op.dilations, op.weight.shape[2:], strict=True)
    return tuple((n - 1) * s + d * (k - 1) + 1 for n, s, d, k in parts)


def _widths(before: Sizes | list[int], after: Sizes | list[int]) -> list[int]:
    """Padding in torch's order: last axis first, both ends of an axis together."""
    return [w for pair in zip(reversed(before), reversed(after), strict=True) for w in pair]
