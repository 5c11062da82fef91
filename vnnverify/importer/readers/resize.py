# SPDX-License-Identifier: Apache-2.0
"""Upsample, Resize, DepthToSpace and SpaceToDepth: elements are picked, or mixed with their neighbours."""

from __future__ import annotations

import numpy as np
import onnx
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.folding import evaluate
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.numerics import COMPUTED_ROUNDINGS
from vnnverify.ops.arrangement import Select, Transpose
from vnnverify.ops.linear import Linear

__all__: list[str] = []


def _picked(node: NodeView, x: Value, places: np.ndarray) -> Value:
    index = torch.from_numpy(np.ascontiguousarray(places))
    return node.add(Select.of(index, tuple(index.shape)), x)


def _places(x: Value) -> np.ndarray:
    return np.arange(x.size).reshape(x.shape)


@reads("Upsample")
@reads("Resize", since=10)
def _upsample(node: NodeView) -> Operand:
    """Output k shows input floor(k / scale), or mixes it with the next one."""
    x = node.variable()
    scales = node.attribute("scales")
    if scales is None:
        scales = np.asarray(node.constant(1, "the scales")).reshape(-1).tolist()
    if node.attribute("mode", "nearest") != "nearest":
        return _mixed(node, x, {k: float(s) for k, s in enumerate(scales)}, asymmetric=True)
    places = _places(x)
    for axis, scale in enumerate(scales):
        extent = int(np.floor(x.shape[axis] * scale))
        node.within_limit((*places.shape[:axis], extent, *places.shape[axis + 1 :]))
        source = np.floor(np.arange(extent) / scale).astype(np.int64)
        places = np.take(places, np.clip(source, 0, x.shape[axis] - 1), axis=axis)
    return _picked(node, x, places)


@reads("Resize", since=11)
def _resize(node: NodeView) -> Operand:
    """Output k shows the input nearest to where `coordinate_transformation_mode` maps it."""
    x = node.variable()
    scales, sizes = node.constant(2, "the scales"), node.constant(3, "the sizes")
    axes = [node.axis(int(a), len(x.shape)) for a in node.attribute("axes", range(len(x.shape)))]
    if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("keeping the aspect ratio")
    if node.attribute("mode", "nearest") != "nearest":
        return _mixed(node, x, _targets(node, axes, scales, sizes))
    places = _places(x)
    for k, axis in enumerate(axes):
        old = x.shape[axis]
        if sizes is not None and sizes.size:
            new = int(sizes.reshape(-1)[k])
            scale = new / old
        elif scales is not None and scales.size:
            scale = float(scales.reshape(-1)[k])
            new = int(np.floor(old * scale))
        else:
            raise node.error("gives neither scales nor sizes")
        node.within_limit((*places.shape[:axis], new, *places.shape[axis + 1 :]))
        if scale != 1.0 or new != old:
            places = np.take(places, _nearest(node, old, new, scale), axis=axis)
    return _picked(node, x, places)


def _targets(
    node: NodeView, axes: list[int], scales: np.ndarray | None, sizes: np.ndarray | None
) -> dict[int, float | int]:
    """For each axis the size wanted, a whole number, or else the scale."""
    if sizes is not None and sizes.size:
        return {a: int(n) for a, n in zip(axes, sizes.reshape(-1), strict=True)}
    if scales is None or not scales.size:
        raise node.error("gives neither scales nor sizes")
    return {a: float(s) for a, s in zip(axes, scales.reshape(-1), strict=True)}


def _mixed(node: NodeView, x: Value, targets: dict[int, float | int], *, asymmetric: bool = False) -> Value:
    """Linear and cubic interpolation: along each axis a matrix, which onnx's own definition tells."""
    if node.attribute("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise node.unsupported("cropping while resizing")
    attributes = {k: v for k, v in node.attributes.items() if k not in ("axes", "scales")}
    if asymmetric:
        attributes["coordinate_transformation_mode"] = "asymmetric"
    rank = len(x.shape)
    for axis, target in targets.items():
        n = x.shape[axis]
        sized = isinstance(target, int)
        if target == (n if sized else 1.0):
            continue
        node.within_limit([x.size // n, int(target if sized else n * target) + 1])
        wanted = np.array([n, target], np.int64) if sized else np.array([1.0, target], np.float32)
        names = ["x", "", "", "wanted"] if sized else ["x", "", "wanted"]
        proto = onnx.helper.make_node("Resize", names, ["y"], **attributes)
        given = [np.eye(n, dtype=np.float64), *[None] * (len(names) - 2), wanted]
        (columns,) = evaluate(proto, given, max(node.opset, 13), node.title)
        swap = list(range(rank))
        swap[axis], swap[-1] = swap[-1], swap[axis]
        turn = Transpose(tuple(swap))
        x = node.add(
            turn, node.add(Linear(as_tensor(columns.T), roundings=COMPUTED_ROUNDINGS), node.add(turn, x))
        )
    return x


def _nearest(node: NodeView, old: int, new: int, scale: float) -> np.ndarray:
    """Source positions (new,) along one axis."""
    k = np.arange(new, dtype=np.float64)
    mode = node.attribute("coordinate_transformation_mode", "half_pixel")
    if mode == "asymmetric":
        source = k / scale
    elif mode in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        source = (k + 0.5) / scale - 0.5
        if mode == "pytorch_half_pixel" and new == 1:
            source = np.zeros(1)
        if mode == "half_pixel_symmetric":
            source = source + old / 2 * (1 - new / (scale * old))
    elif mode == "align_corners":
        source = k * ((old - 1) / (new - 1)) if new > 1 else np.zeros(1)
    else:
        raise node.unsupported(f"coordinate_transformation_mode {mode!r}")
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    if rounding == "floor":
        whole = np.floor(source)
    elif rounding == "ceil":
        whole = np.ceil(source)
    elif rounding == "round_prefer_floor":
        whole = np.ceil(source - 0.5)
    else:
        whole = np.floor(source + 0.5)
    return np.clip(whole.astype(np.int64), 0, old - 1)


@reads("DepthToSpace")
def _depth_to_space(node: NodeView) -> Operand:
    x, size = node.variable(), int(node.attribute("blocksize"))
    n, c, h, w = x.shape
    places = _places(x)
    if node.attribute("mode", "DCR") == "DCR":
        cut = places.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        cut = places.reshape(n, c // size**2, size, size, h, w).transpose(0, 1, 4, 2, 5, 3)
    return _picked(node, x, cut.reshape(n, c // size**2, h * size, w * size))


@reads("SpaceToDepth")
def _space_to_depth(node: NodeView) -> Operand:
    x, size = node.variable(), int(node.attribute("blocksize"))
    n, c, h, w = x.shape
    cut = _places(x).reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
    return _picked(node, x, cut.reshape(n, c * size**2, h // size, w // size))
