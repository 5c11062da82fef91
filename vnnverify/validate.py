# SPDX-License-Identifier: Apache-2.0
"""The judge of witnesses: the original model in onnxruntime, and the property's own text.

No `sat` leaves the program without passing here. The input is rounded inward to the model's own
type first, so that what is replayed and printed is exactly what the model reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vnnverify.query import Clause, Judge, Layout, ModelFile, Replay

if TYPE_CHECKING:
    from vnnverify.importer import Model
    from vnnverify.vnnlib import Property

__all__ = ["ModelsRunner", "OnnxRunner", "OnnxSource", "PropertySource", "judges_of"]


class OnnxRunner:
    """The model in onnxruntime, on the CPU, single-threaded so that results repeat.

    Args:
        optimised: let onnxruntime rewrite the graph, as it does by default.
    """

    def __init__(self, data: bytes, layout: Layout, *, optimised: bool = True) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        if not optimised:
            settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
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


class ModelsRunner:
    """Several models side by side: the inputs and the outputs of all, each in turn.

    Args:
        models: one per network; the same object twice is one session.
        optimised: let onnxruntime rewrite the graphs.
    """

    def __init__(self, models: Sequence[ModelFile], *, optimised: bool = True) -> None:
        self._models = tuple(models)
        self._optimised = optimised
        self._runners: dict[int, OnnxRunner] = {}

    def __call__(self, x: Sequence[float]) -> tuple[float, ...]:
        """Flat outputs of all models at one flat point of all inputs."""
        found: list[float] = []
        start = 0
        for model in self._models:
            runner = self._runners.get(id(model))
            if runner is None:
                runner = self._runners[id(model)] = OnnxRunner(
                    model.data, model.layout, optimised=self._optimised
                )
            size = sum(int(np.prod(spec.shape)) for spec in model.layout.inputs)
            found.extend(runner(x[start : start + size]))
            start += size
        return tuple(found)


def judges_of(models: Sequence[ModelFile]) -> tuple[Judge, ...]:
    """onnxruntime as it is by default, and with its graph optimisation off: its rewritings are not always the
    same function. The sessions are made when they are first asked."""
    return (
        Judge("onnxruntime", ModelsRunner(models)),
        Judge("onnxruntime with graph optimisation off", ModelsRunner(models, optimised=False)),
    )


@dataclass(frozen=True, slots=True)
class _Placed:
    """A point of the models' own numbers, and the inputs whose text's interval may hold none of them.

    Both lists hold (index, numpy dtype name). Whole-number inputs are in neither: what does not lie
    between their bounds is wrong.
    """

    x: tuple[float, ...]
    lost: tuple[tuple[int, str], ...]  # the box holds none either
    lone: tuple[tuple[int, str], ...]  # the box holds one on its end, perhaps just outside the interval


class PropertySource:
    """Replays witnesses of a property about one or several models.

    Args:
        layout: of all models together.
        clauses: the query's clauses; a witness is put into the box of the nearest one.
    """

    def __init__(
        self, models: Sequence[ModelFile], layout: Layout, prop: Property, clauses: Sequence[Clause]
    ) -> None:
        self.models = tuple(models)
        self.judges = judges_of(self.models)
        self._layout = layout
        self._property = prop
        self._clauses = clauses
        self._last: tuple[bytes, Replay] | None = None  # the last valid answer, which is asked for again

    def replay(self, x: Tensor) -> Replay:
        """Run the models at x (n,) and evaluate every assertion of the text, with zero tolerance.

        The answer holds the inputs of all models, also where the graph has fewer. x is rounded to the
        nearest point of the model's type in the box. As the box is the text's, rounded outward to float64,
        its ends may lie outside by less than one float64 step; if the text refuses the point, the nearest
        one off the ends is tried too.
        """
        if torch.isnan(x).any():
            return Replay(False, "the point holds NaN", tuple(x.tolist()), ())
        key = x.detach().cpu().to(torch.float64).numpy().tobytes()
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        lower, upper = _nearest_box(self._clauses, x)
        tried: dict[tuple[float, ...], Replay] = {}
        for take in _TAKES:
            placed = self._place(x, lower, upper, take)
            if placed.x not in tried:
                tried[placed.x] = answer = self._judge(placed)
                if answer.valid:
                    self._last = key, answer
                    return answer
        return next(iter(tried.values()))

    def outputs(self, x: Tensor) -> tuple[float, ...]:
        """The models' outputs at x (n,), wherever that is: nothing is put into a box or asked about it."""
        columns = self._layout.columns
        return self.judges[0].run((x if columns is None else x[list(columns)]).tolist())

    def _judge(self, placed: _Placed) -> Replay:
        """Run the model, by each judge, and ask the text: exactly, then with lone numbers standing for their
        intervals.

        An interval without a number of the model's type means the nearest one, since the model would read
        its bounds as that. Where such inputs are of several types, this holds for the first type only.
        """
        columns = self._layout.columns
        x = placed.x if columns is None else tuple(placed.x[column] for column in columns)
        y = self.judges[0].run(x)
        answer = self._asked(placed, x, y)
        for judge in self.judges[1:] if answer.valid else ():
            other = self._asked(placed, x, judge.run(x))
            if not other.valid:
                return Replay(False, f"refused by {judge.name}: {other.reason}", x, y)
        return answer

    def _asked(self, placed: _Placed, x: tuple[float, ...], y: tuple[float, ...]) -> Replay:
        """What the text says of the inputs and these outputs."""
        if not all(np.isfinite(y)):
            return Replay(False, "an output is not finite", x, y)
        reason = ""
        for unsure in (placed.lost, placed.lost + placed.lone)[: 2 if placed.lone else 1]:
            dtype = unsure[0][1] if unsure else "float32"
            rounded = frozenset(index for index, name in unsure if name == dtype)
            valid, why = self._property.holds_at(placed.x, y, rounded, dtype)
            if valid:
                return Replay(True, "", x, y, len(rounded))
            reason = reason or why
        return Replay(False, reason, x, y)

    def _place(self, x: Tensor, lower: Tensor, upper: Tensor, take: str) -> _Placed:
        flat = np.zeros(lower.numel())
        lost: dict[int, str] = {}
        lone: dict[int, str] = {}
        start = 0
        for spec in self._layout.inputs:
            size = int(np.prod(spec.shape))
            columns = np.arange(start, start + size)
            if self._layout.columns is not None:
                columns = np.array(self._layout.columns[start : start + size], dtype=np.int64)
            start += size
            point, low, high = (t.detach().cpu().double().numpy()[columns] for t in (x, lower, upper))
            dtype = np.dtype(spec.dtype)
            flat[columns] = _choose(point, low, high, dtype, take)
            if not np.issubdtype(dtype, np.floating):
                continue
            first, last = _ends(low, high, dtype, strictly=False)
            inner_first, inner_last = _ends(low, high, dtype, strictly=True)
            on_ends = (first <= last) & (inner_first > inner_last) & (low < high)
            alone = on_ends & ((first == last) | (dtype == np.float64))
            lost.update((k, spec.dtype) for k in columns[first > last].tolist())
            lone.update((k, spec.dtype) for k in columns[alone].tolist())
        return _Placed(tuple(flat.tolist()), tuple(lost.items()), tuple(lone.items()))


class OnnxSource(PropertySource):
    """Replays witnesses of one model and one property."""

    def __init__(self, model: Model, prop: Property, clauses: Sequence[Clause]) -> None:
        super().__init__((model,), model.layout, prop, clauses)


_TAKES = ("nearest", "first", "last")
"""Which point of a box to take: the nearest to x; or the nearest off the ends, and of two neighbouring
numbers that are the ends the first, or the last."""


def _choose(
    x: np.ndarray, lower: np.ndarray, upper: np.ndarray, dtype: np.dtype[Any], take: str
) -> np.ndarray:
    """Numbers of `dtype`, as float64: in [lower, upper] where there is one, else nearest to the middle."""
    first, last = _ends(lower, upper, dtype, strictly=False)
    least, greatest = first, last
    if take != "nearest":
        inner_first, inner_last = _ends(lower, upper, dtype, strictly=True)
        between = inner_first <= inner_last
        least = np.where(between, inner_first, first if take == "first" else last)
        greatest = np.where(between, inner_last, least)
    value = np.clip(_cast(x, dtype), least, greatest)
    return np.where(first <= last, value, _cast((lower + upper) / 2, dtype))


def _ends(
    lower: np.ndarray, upper: np.ndarray, dtype: np.dtype[Any], *, strictly: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest number of `dtype` in [lower, upper] (strictly: in between), as float64.

    Where there is none, the first is greater than the second.
    """
    first, last = _cast(lower, dtype), _cast(upper, dtype)
    first = np.where(first <= lower if strictly else first < lower, _step(first, dtype, up=True), first)
    last = np.where(last >= upper if strictly else last > upper, _step(last, dtype, up=False), last)
    return first, last


def _cast(x: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """The nearest number of `dtype`, infinity beyond its range; as float64."""
    value: np.ndarray
    if np.issubdtype(dtype, np.floating):
        with np.errstate(over="ignore"):
            value = x.astype(dtype).astype(np.float64)
    else:
        value = np.rint(x)
    return value


def _step(x: np.ndarray, dtype: np.dtype[Any], *, up: bool) -> np.ndarray:
    """The next number of `dtype` above or below x, which is one; as float64."""
    if not np.issubdtype(dtype, np.floating):
        return x + (1 if up else -1)
    with np.errstate(over="ignore"):
        value: np.ndarray = np.nextafter(x.astype(dtype), dtype.type(np.inf if up else -np.inf))
    return value.astype(np.float64)


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
