# SPDX-License-Identifier: Apache-2.0
"""Sums, maxima and the like along axes, and normalisations by them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from draft import Draft
from onnx import TensorProto

__all__ = ["REDUCING"]


def _normalise(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        d.add(kind, d.name, axis=d.pick(None, d.axis()))

    return make


def _lp_normalise(d: Draft) -> None:
    d.add("LpNormalization", d.name, axis=d.pick(None, d.axis()), p=d.pick(None, 1, 2))


def _layer_norm(d: Draft) -> None:
    axis = d.axis()
    shape = d.shape[axis % d.rank :]
    inputs = [d.name, d.const(d.normal(*shape))] + (
        [d.const(d.normal(*shape))] if d.rng.random() < 0.5 else []
    )
    d.add("LayerNormalization", *inputs, axis=axis, epsilon=d.pick(None, 1e-3))


def _batch_norm(d: Draft) -> None:
    c = d.shape[1]
    parts = [d.normal(c), d.normal(c), d.normal(c), np.abs(d.normal(c)) + 0.1]
    d.add("BatchNormalization", d.name, *map(d.const, parts), epsilon=d.pick(None, 1e-2))


def _instance_norm(d: Draft) -> None:
    c = d.shape[1]
    d.add(
        "InstanceNormalization", d.name, d.const(d.normal(c)), d.const(d.normal(c)), epsilon=d.pick(None, 0.1)
    )


def _lrn(d: Draft) -> None:
    d.add(
        "LRN",
        d.name,
        size=d.pick(1, 3, 5),
        alpha=d.pick(None, 0.1),
        beta=d.pick(None, 0.5),
        bias=d.pick(None, 2.0),
    )


def _reduce(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        axes = d.pick(None, d.axes(), d.axes())
        keep = d.pick(None, 0, 1)
        if d.opset >= 18 or (kind == "ReduceSum" and d.opset >= 13):
            noop = d.pick(None, 0, 1)
            given = [] if axes is None else [d.const(axes, np.int64)]
            d.add(kind, d.name, *given, keepdims=keep, noop_with_empty_axes=noop)
        else:
            d.add(kind, d.name, axes=axes, keepdims=keep)

    return make


def _arg(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        last = d.pick(None, 0, 1) if d.opset >= 12 else None
        d.add(kind, d.name, axis=d.pick(None, d.axis()), keepdims=d.pick(None, 0, 1), select_last_index=last)
        d.add("Cast", d.name, to=TensorProto.FLOAT)

    return make


def _topk(d: Draft) -> None:
    axis = d.axis()
    k = int(d.rng.integers(1, d.shape[axis] + 1))
    if d.opset < 10:
        d.add("TopK", d.name, outputs=2, axis=axis, k=k)
        return
    largest = d.pick(None, 0, 1) if d.opset >= 11 else None
    d.add("TopK", d.name, d.const([k], np.int64), outputs=2, axis=axis, largest=largest)


def _cumsum(d: Draft) -> None:
    axis = d.const(d.axis(), d.pick(np.int32, np.int64))
    d.add("CumSum", d.name, axis, exclusive=d.pick(None, 1), reverse=d.pick(None, 1))


REDUCING: dict[str, Callable[[Draft], None]] = {
    **{k: _normalise(k) for k in ("Softmax", "LogSoftmax", "Hardmax")},
    "LpNormalization": _lp_normalise, "LayerNormalization": _layer_norm, "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm, "LRN": _lrn,
    **{k: _reduce(k) for k in (
        "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
        "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
    )},
    "ArgMax": _arg("ArgMax"), "ArgMin": _arg("ArgMin"), "TopK": _topk, "CumSum": _cumsum,
}  # fmt: skip
