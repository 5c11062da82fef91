# SPDX-License-Identifier: Apache-2.0
"""Upsample, Resize, DepthToSpace and SpaceToDepth: elements are picked, or mixed with their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vnnverify.importer.builder import NodeView, Operand, as_tensor, places_of
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.registry import reads
from vnnverify.importer.runtime import computed
from vnnverify.ir import Value
from vnnverify.numerics import COMPUTED_ROUNDINGS
from vnnverify.ops.arrangement import Transpose
from vnnverify.ops.linear import Linear

__all__: list[str] = []


@reads("Upsample")
@reads("Resize", since=10)
def _resize(node: NodeView) -> Operand:
    """Elements picked, or mixed along one axis after the other, as onnxruntime does to numbers that tell
    where they come from: it computes sizes and places in float32."""
    x = node.variable()
    wanted = _Wanted.of(node, x)
    places = wanted.places(x)
    if node.attribute("mode", "nearest") != "nearest" and places.shape == x.shape and wanted.copies(x):
        return x
    if node.attribute("mode", "nearest") == "nearest":
        inside, found = places > 0, node.taken(x, np.maximum(places - 1, 0))
    else:
        inside, found = places > 0, x
        for axis, n in enumerate(places.shape):
            if n != x.shape[axis] or wanted.moves(axis):
                found = _mixed(node, found, axis, wanted.weights(axis, x.shape[axis]))
        if found.shape != places.shape:
            raise node.unsupported(f"a result of shape {places.shape} by steps of {found.shape}")
    fill = float(node.attribute("extrapolation_value", 0.0))
    if inside.all():
        return found
    kept = inside.astype(np.float64)
    return scaled(node, found, kept, fill * (1 - kept) if fill else None)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a node asks for: scales or sizes, and of a crop the region, all of them constants."""

    node: NodeView
    axes: tuple[int, ...]  # that scales, sizes and region are about
    scales: np.ndarray | None
    sizes: np.ndarray | None
    region: np.ndarray | None  # starts, then ends

    @classmethod
    def of(cls, node: NodeView, x: Value) -> _Wanted:
        """What the node asks for, with the axes it leaves out; of Upsample and of every Resize."""
        rank = len(x.shape)
        axes = tuple(node.axis(int(a), rank) for a in node.attribute("axes") or range(rank))
        if node.op_type == "Upsample" or node.opset < 11:
            given = node.attribute("scales")
            scales = node.constant(1, "the scales") if given is None else np.array(given, np.float32)
            sizes = region = None
        else:
            region, scales, sizes = (
                None if part is None or not part.size else part.reshape(-1)
                for part in (node.constant(k, what) for k, what in _INPUTS)
            )
        if scales is None and sizes is None:
            raise node.error("gives neither scales nor sizes")
        if region is not None and node.attribute(_MAPPING) != "tf_crop_and_resize":
            region = None
        return cls(node, axes, None if scales is None else scales.reshape(-1), sizes, region)

    def places(self, x: Value) -> np.ndarray:
        """Which element each one of the result shows, counted from 1, or is mixed around; 0 is outside."""
        for axis, n in zip(self.axes, self._sizes(x), strict=True):
            self.node.within_limit([x.size // max(1, x.shape[axis]), n])
        numbers = np.arange(1, x.size + 1, dtype=np.int32).reshape(x.shape)
        fixed: dict[str, Any] = {"mode": "nearest", "extrapolation_value": 0.0}
        found = self._run(numbers, self.axes, self.scales, self.sizes, self.region, **fixed)
        return found.astype(np.int64)

    def moves(self, axis: int) -> bool:
        """Whether elements are mixed along an axis whose length stays."""
        if axis not in self.axes:
            return False
        k = self.axes.index(axis)
        scaled_by = None if self.scales is None else float(self.scales[k])
        return self.region is not None or scaled_by not in (None, 1.0)

    def weights(self, axis: int, n: int) -> np.ndarray:
        """The matrix (new, n) that mixes the elements along one axis.

        Another axis is enlarged with it, along which nothing changes: where no axis is, all is copied.
        """
        if self.sizes is not None and self.node.attribute(_RATIO, "stretch") != "stretch":
            raise self.node.unsupported("interpolation that keeps the aspect ratio")
        k = self.axes.index(axis)
        region = scales = sizes = None
        if self.sizes is not None:
            sizes = np.array([n, 1, 4, self.sizes[k]], np.int64)
            new = float(self.sizes[k])
        else:
            assert self.scales is not None
            scales = np.array([1, 1, 2, self.scales[k]], np.float32)
            new = n * float(self.scales[k])
        if self.region is not None:
            start, end = self.region[k], self.region[k + len(self.axes)]
            region = np.array([0, 0, 0, start, 1, 1, 1, end], self.region.dtype)
        self.node.within_limit([n, 1 + int(new)])
        units = np.repeat(np.eye(n, dtype=np.float32).reshape(n, 1, 1, n), 2, axis=2)
        return self._run(units, range(4), scales, sizes, region, extrapolation_value=0.0)[:, 0, 0].T

    def copies(self, x: Value) -> bool:
        """Whether a result of the shape of x is x, whatever the scales say."""
        sample = np.random.default_rng(0).uniform(1.0, 2.0, x.shape).astype(np.float32)
        return np.array_equal(self._run(sample, self.axes, self.scales, self.sizes, self.region), sample)

    def _sizes(self, x: Value) -> list[int]:
        if self.sizes is not None:
            return [int(n) for n in self.sizes]
        assert self.scales is not None
        return [int(x.shape[a] * float(s)) for a, s in zip(self.axes, self.scales, strict=True)]

    def _run(
        self,
        array: np.ndarray,
        axes: Sequence[int],
        scales: np.ndarray | None,
        sizes: np.ndarray | None,
        region: np.ndarray | None,
        **changed: Any,
    ) -> np.ndarray:
        node = self.node
        attributes = {k: v for k, v in node.attributes.items() if k not in ("axes", "scales")}
        inputs: list[np.ndarray | None]
        if changed.get("mode") == "nearest":
            attributes = {k: v for k, v in attributes.items() if k not in ("antialias", "exclude_outside")}
        if node.op_type == "Upsample" or node.opset < 11:
            assert scales is not None
            attributes |= {k: v for k, v in changed.items() if k == "mode"}
            if node.op_type == "Upsample" and node.opset < 9:
                inputs, attributes["scales"] = [array], [float(s) for s in scales.tolist()]
            else:
                inputs = [array, scales]
        else:
            attributes |= changed
            if node.opset >= 18 and tuple(axes) != tuple(range(array.ndim)):
                attributes["axes"] = list(axes)
            region = np.zeros(0, np.float32) if region is None else region
            if scales is None and node.opset < 13:  # the input was not optional then
                scales = np.zeros(0, np.float32)
            inputs = [array, region, scales] if sizes is None else [array, region, scales, sizes]
        return computed(node.op_type, inputs, attributes, node.opset, node.title)


_INPUTS = ((1, "the region"), (2, "the scales"), (3, "the sizes"))
_RATIO = "keep_aspect_ratio_policy"
_MAPPING = "coordinate_transformation_mode"


def _mixed(node: NodeView, x: Value, axis: int, weight: np.ndarray) -> Value:
    """A matrix applied along one axis."""
    swap = list(range(len(x.shape)))
    swap[axis], swap[-1] = swap[-1], swap[axis]
    turn = Transpose(tuple(swap))
    mix = Linear(as_tensor(weight), roundings=COMPUTED_ROUNDINGS)
    return node.add(turn, node.add(mix, node.add(turn, x)))


@reads("DepthToSpace")
def _depth_to_space(node: NodeView) -> Operand:
    x, size = node.variable(), _block(node)
    n, c, h, w = x.shape
    if node.attribute("mode", "DCR") == "DCR":
        cut = places_of(x).reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        cut = places_of(x).reshape(n, c // size**2, size, size, h, w).transpose(0, 1, 4, 2, 5, 3)
    return node.taken(x, cut.reshape(n, c // size**2, h * size, w * size))


@reads("SpaceToDepth")
def _space_to_depth(node: NodeView) -> Operand:
    x, size = node.variable(), _block(node)
    n, c, h, w = x.shape
    order = (0, 3, 5, 1, 2, 4) if node.attribute("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    cut = places_of(x).reshape(n, c, h // size, size, w // size, size).transpose(order)
    return node.taken(x, cut.reshape(n, c * size**2, h // size, w // size))


def _block(node: NodeView) -> int:
    size, mode = int(node.attribute("blocksize")), node.attribute("mode", "DCR")
    if size < 1 or mode not in ("DCR", "CRD"):
        raise node.error(f"has blocks of {size} in the order {mode!r}")
    return size
