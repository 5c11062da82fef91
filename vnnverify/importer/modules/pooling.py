# SPDX-License-Identifier: Apache-2.0
"""Maxima and averages over windows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from vnnverify.importer.modules.call import Call, Operand, reads
from vnnverify.ir import Op, Value
from vnnverify.ops.conv import Conv
from vnnverify.ops.maximum import MaxPool
from vnnverify.ops.sums import AveragePool

__all__: list[str] = []

Sizes = tuple[int, ...]


def _sizes(call: Call, name: str, axes: int, default: Sizes) -> Sizes:
    found = call.get(name)
    numbers = (found,) if isinstance(found, int) else tuple(found or default)
    return numbers * axes if len(numbers) == 1 else numbers


def _windows(call: Call, x: Value, axes: int) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """Kernel, strides, padding and dilation."""
    kernel = _sizes(call, "kernel_size", axes, ())
    strides = _sizes(call, "stride", axes, kernel)
    padding, dilation = (
        _sizes(call, "padding", axes, (0,) * axes),
        _sizes(call, "dilation", axes, (1,) * axes),
    )
    if call.get("ceil_mode"):
        extents = zip(x.shape[-axes:], kernel, strides, padding, dilation, strict=True)
        if any((n + 2 * p - d * (k - 1) - 1) % s for n, k, s, p, d in extents):
            raise call.unsupported("ceil_mode where it adds windows")
    return kernel, strides, padding, dilation


def _batched(call: Call, op: Op, x: Value, axes: int) -> Value:
    """The pool of (N, C, *spatial), or of (C, *spatial) as a batch of one."""
    if len(x.shape) == axes + 2:
        return call.add(op, x)
    z = call.add(op, call.reshaped(x, (1, *x.shape)))
    return call.reshaped(z, z.shape[1:])


@reads("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(call: Call) -> Operand:
    axes, x = int(call.operator[-2]), call.input()
    kernel, strides, padding, dilation = _windows(call, x, axes)
    return _batched(call, MaxPool(kernel, strides, padding, padding, dilation), x, axes)


@reads("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average_pool(call: Call) -> Operand:
    axes, x = int(call.operator[-2]), call.input()
    kernel, strides, padding, _ = _windows(call, x, axes)
    if call.get("divisor_override") is not None:
        raise call.unsupported("a divisor of its own")
    image = torch.ones(1, 1, 1, *x.shape[-axes:], dtype=torch.float64)
    if call["count_include_pad"]:
        image = torch.nn.functional.pad(image, [p for p in reversed(padding) for _ in (0, 1)], value=1.0)
    counted = (0,) * axes if call["count_include_pad"] else padding
    ones = torch.ones(1, 1, *kernel, dtype=torch.float64)
    counts = Conv(ones, None, strides, counted, counted, (1,) * axes).linear(image)[0, 0, 0]
    return _average(call, x, kernel, strides, padding, 1 / counts)


@reads("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive(call: Call) -> Operand:
    """Windows side by side, of one size."""
    axes, x = int(call.operator[-2]), call.input()
    wanted = _sizes(call, "output_size", axes, ())
    spatial: Sequence[int] = x.shape[-axes:]
    if any(n % m for n, m in zip(spatial, wanted, strict=True)):
        raise call.unsupported(f"adaptive pooling of {tuple(spatial)} to {wanted}, no divisor of it,")
    kernel = tuple(n // m for n, m in zip(spatial, wanted, strict=True))
    weight = torch.full(wanted, 1 / prod(kernel), dtype=torch.float64)
    return _average(call, x, kernel, kernel, (0,) * axes, weight)


def _average(call: Call, x: Value, kernel: Sizes, strides: Sizes, padding: Sizes, weight: Tensor) -> Value:
    return _batched(call, AveragePool(kernel, strides, padding, padding, weight), x, len(kernel))
