# SPDX-License-Identifier: Apache-2.0
"""Layers: windows that slide over images, products with weights, and what else networks are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from draft import Draft

__all__ = ["LAYERS"]


def _window(d: Draft, *, dilations: bool, ceil: bool) -> dict[str, Any]:
    spatial = d.rank - 2
    kernel = [int(d.rng.integers(1, 4)) for _ in range(spatial)]
    made: dict[str, Any] = {"kernel_shape": kernel}
    made["strides"] = d.pick(None, [int(d.rng.integers(1, 4)) for _ in range(spatial)])
    if dilations:
        made["dilations"] = d.pick(None, [int(d.rng.integers(1, 3)) for _ in range(spatial)])
    if d.rng.random() < 0.5:
        made["auto_pad"] = d.pick("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    else:
        made["pads"] = d.pick(None, [int(d.rng.integers(0, 2)) for _ in range(2 * spatial)])
    if ceil:
        made["ceil_mode"] = d.pick(None, 0, 1)
    return made


def _max_pool(d: Draft) -> None:
    d.add("MaxPool", d.name, **_window(d, dilations=d.opset >= 10, ceil=d.opset >= 10))


def _average_pool(d: Draft) -> None:
    count = d.pick(None, 0, 1)
    d.add(
        "AveragePool",
        d.name,
        count_include_pad=count,
        **_window(d, dilations=d.opset >= 19, ceil=d.opset >= 10),
    )


def _lp_pool(d: Draft) -> None:
    d.add(
        "LpPool", d.name, p=d.pick(None, 1, 2, 3), **_window(d, dilations=d.opset >= 18, ceil=d.opset >= 18)
    )


def _conv(d: Draft) -> None:
    window = _window(d, dilations=True, ceil=False)
    c = d.shape[1]
    group = d.pick(1, 1, c)
    out = group * int(d.rng.integers(1, 3))
    weight = d.const(d.normal(out, c // group, *window["kernel_shape"]))
    bias = [d.const(d.normal(out))] if d.rng.random() < 0.5 else []
    d.add("Conv", d.name, weight, *bias, group=group, **window)


def _conv_transpose(d: Draft) -> None:
    window = _window(d, dilations=True, ceil=False)
    c = d.shape[1]
    group = d.pick(1, 1, c)
    out = int(d.rng.integers(1, 3))
    weight = d.const(d.normal(c, out, *window["kernel_shape"]))
    bias = [d.const(d.normal(out * group))] if d.rng.random() < 0.5 else []
    extra = d.pick(None, None, [int(d.rng.integers(0, 2)) for _ in range(d.rank - 2)])
    d.add("ConvTranspose", d.name, weight, *bias, group=group, output_padding=extra, **window)


def _gemm(d: Draft) -> None:
    rows, columns = d.shape
    turn, other = d.pick(None, 1), d.pick(None, 1)
    m, k = (columns, rows) if turn else (rows, columns)
    n = int(d.rng.integers(1, 4))
    weight = d.const(d.normal(*((n, k) if other else (k, n))))
    shape = d.pick(None, (n,), (1, n), (m, n), (m, 1), (1, 1), (1,), ())
    bias = [] if shape is None else [d.const(d.normal(*shape))]
    if not bias and d.opset < 11:
        bias = [d.const(d.normal(n))]
    d.add(
        "Gemm",
        d.name,
        weight,
        *bias,
        transA=turn,
        transB=other,
        alpha=d.pick(None, 0.5),
        beta=d.pick(None, 2.0),
    )


def _matmul(d: Draft) -> None:
    k = d.shape[-1]
    shape = d.pick((k, 2), (k,), (2, k, 3)) if d.rank > 1 else d.pick((k, 2), (k,))
    d.add("MatMul", d.name, d.const(d.normal(*shape)))


def _resize(d: Draft) -> None:
    spatial = d.rank - 2
    factors = [1.0, 1.0] + [float(d.pick(0.5, 2.0, 1.5, 0.6, 1.3, 3.0, 0.77)) for _ in range(spatial)]
    mode = d.pick("nearest", "linear", "cubic")
    if d.opset < 9:
        d.add("Upsample", d.name, mode=d.pick("nearest", "linear"), scales=[max(1.0, f) for f in factors])
    elif d.opset == 9:
        d.add("Upsample", d.name, d.const([max(1.0, f) for f in factors]), mode=d.pick("nearest", "linear"))
    elif d.opset == 10:
        d.add("Resize", d.name, d.const(factors), mode=d.pick("nearest", "linear"))
    else:
        where = d.pick(None, "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
        nearest = d.pick(None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        antialias = d.pick(None, 0, 1) if d.opset >= 18 and mode != "nearest" else None
        empty = d.const([], np.float32)
        if d.rng.random() < 0.5:
            sizes = [n if k < 2 else max(1, int(n * factors[k])) for k, n in enumerate(d.shape)]
            inputs = [d.name, empty, empty, d.const(sizes, np.int64)]
        else:
            inputs = [d.name, empty, d.const(factors, np.float32)]
        d.add(
            "Resize", *inputs, mode=mode, coordinate_transformation_mode=where,
            nearest_mode=nearest if mode == "nearest" else None, antialias=antialias,
            exclude_outside=d.pick(None, 1) if mode == "cubic" else None,
        )  # fmt: skip


def _prelu(d: Draft) -> None:
    shape = d.pick(d.shape, d.shape[1:], (d.shape[-1],), (1,), (d.shape[1], *[1] * (d.rank - 2)))
    d.add("PRelu", d.name, d.const(d.normal(*shape)))


def _dropout(d: Draft) -> None:
    d.add("Dropout", d.name)


LAYERS: dict[str, Callable[[Draft], None]] = {
    "MaxPool": _max_pool, "AveragePool": _average_pool, "LpPool": _lp_pool, "Conv": _conv,
    "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul, "Resize": _resize, "PRelu": _prelu,
    "Dropout": _dropout,
}  # fmt: skip
