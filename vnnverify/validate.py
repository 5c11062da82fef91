# SPDX-License-Identifier: Apache-2.0
"""The judge of witnesses: the original model in onnxruntime, and the property's own text.

No `sat` leaves the program without passing here. The input is rounded inward to the model's own
type first, so that what is replayed and printed is exactly what the model reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vnnverify.query import Clause, Layout, Replay

if TYPE_CHECKING:
    from vnnverify.importer import Model
    from vnnverify.vnnlib import Property

__all__ = ["OnnxRunner", "OnnxSource"]


class OnnxRunner:
    """The model in onnxruntime, on the CPU, single-threaded so that results repeat."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            data, sess_options=settings, providers=["CPUExecutionProvider"]
        )
        self._layout = layout

    def __call__(self, x: Sequence[float]) -> tuple[float, ...]:
        """Flat outputs at one flat point, every number exact in the model's type."""
        feed, start = {}, 0
        for spec in self._layout.inputs:
            size = int(np.prod(spec.shape))
            part = np.asarray(x[start : start + size], dtype=np.float64)
            feed[spec.name] = part.astype(spec.dtype).reshape(spec.shape)
            start += size
        values = self._session.run([spec.name for spec in self._layout.outputs], feed)
        return tuple(float(v) for value in values for v in np.asarray(value).reshape(-1).tolist())


class OnnxSource:
    """Replays witnesses of one model and one property.

    Args:
        clauses: the query's clauses; a witness is put into the box of the nearest one.
    """

    def __init__(self, model: Model, prop: Property, clauses: Sequence[Clause]) -> None:
        self._model = model
        self._property = prop
        self._clauses = clauses
        self._runner: OnnxRunner | None = None

    def replay(self, x: Tensor) -> Replay:
        """Run the model at x (n,) and evaluate every assertion of the text, with zero tolerance."""
        lower, upper = _nearest_box(self._clauses, x)
        answer = self._judge(*self._rounded(x, lower, upper, strictly=False))
        if answer.valid:
            return answer
        return self._judge(*self._rounded(x, lower, upper, strictly=True))

    def _judge(self, x: tuple[float, ...], rounded: frozenset[int]) -> Replay:
        if self._runner is None:
            self._runner = OnnxRunner(self._model.data, self._model.layout)
        y = self._runner(x)
        if not all(np.isfinite(y)):
            return Replay(False, "an output is not finite", x, y, len(rounded))
        valid, reason = self._property.holds_at(x, y, rounded)
        return Replay(valid, reason, x, y, len(rounded))

    def _rounded(
        self, x: Tensor, lower: Tensor, upper: Tensor, *, strictly: bool
    ) -> tuple[tuple[float, ...], frozenset[int]]:
        """The nearest point of the model's type in the box, and the coordinates without any such point.

        The box is the text's, rounded outward to float64. `strictly` keeps off its ends, which may
        lie outside the exact interval by less than one float64 step.
        """
        flat: list[float] = []
        rounded: list[int] = []
        start = 0
        for spec in self._model.layout.inputs:
            end = start + int(np.prod(spec.shape))
            part = slice(start, end)
            point, low, high = (t[part].cpu().double().numpy() for t in (x, lower, upper))
            values, lost = _inward(point, low, high, np.dtype(spec.dtype), strictly)
            flat.extend(values.astype(np.float64).tolist())
            rounded.extend(int(i) + start for i in np.flatnonzero(lost))
            start = end
        return tuple(flat), frozenset(rounded)


def _inward(
    x: np.ndarray, lower: np.ndarray, upper: np.ndarray, dtype: np.dtype[Any], strictly: bool
) -> tuple[np.ndarray, np.ndarray]:
    """x cast to `dtype` and moved by single steps into [lower, upper]; and where that is impossible."""
    middle = np.clip(x, lower, upper)
    if not np.issubdtype(dtype, np.floating):
        value = np.clip(np.rint(middle), np.ceil(lower), np.floor(upper)).astype(dtype)
        return value, (value < lower) | (value > upper)
    value = middle.astype(dtype)
    inf = dtype.type(np.inf)
    low = (value <= lower) if strictly else (value < lower)
    value = np.where(low, np.nextafter(value, inf), value)
    high = (value >= upper) if strictly else (value > upper)
    value = np.where(high, np.nextafter(value, -inf), value)
    wide = value.astype(np.float64)
    lost = (wide <= lower) | (wide >= upper) if strictly else (wide < lower) | (wide > upper)
    nearest = ((lower + upper) / 2).astype(dtype)
    return np.where(lost, nearest, value), lost


def _nearest_box(clauses: Sequence[Clause], x: Tensor) -> tuple[Tensor, Tensor]:
    """The box of the clause that x (n,) sticks out of least."""
    x = x.detach().cpu().to(torch.float64)
    best, least = 0, float("inf")
    for start in range(0, len(clauses), 4096):
        part = clauses[start : start + 4096]
        lower = torch.stack([c.region.lower for c in part])
        upper = torch.stack([c.region.upper for c in part])
        excess = torch.maximum(lower - x, x - upper).clamp(min=0).amax(dim=1)
        index = int(excess.argmin())
        if float(excess[index]) < least:
            best, least = start + index, float(excess[index])
    region = clauses[best].region
    return region.lower, region.upper
