# SPDX-License-Identifier: Apache-2.0
"""A witness to look at: images where the input is one, and where its box lies."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vnnverify.errors import VnnverifyError

__all__ = ["box_of", "image_shape", "pictures", "png"]

SMALLEST = 8
"""Least height and width of an image."""
GUESSED = 16
"""Least height and width of a square image that is guessed from a number of inputs alone."""
LARGEST_PROPERTY = 24 << 20
"""Bytes of a property file that is still read for its box."""


def image_shape(layout: Mapping[str, Any], count: int) -> tuple[int, int, int] | None:
    """Channels, height, width of a model's only input, channels first; a negative count of channels means
    channels last. None if it is no image of one or three channels."""
    tensors = layout.get("inputs", ())
    shape = [size for size in tensors[0]["shape"] if size != 1] if len(tensors) == 1 else [count]
    if len(tensors) > 1 or math.prod(shape) != count:
        return None
    if len(shape) == 2 and min(shape) >= SMALLEST:
        return 1, shape[0], shape[1]
    if len(shape) == 3 and shape[0] == 3 and min(shape[1:]) >= SMALLEST:
        return 3, shape[1], shape[2]
    if len(shape) == 3 and shape[2] == 3 and min(shape[:2]) >= SMALLEST:
        return -3, shape[0], shape[1]
    if len(shape) == 1:
        for channels in (1, 3):
            side = math.isqrt(count // channels)
            if side >= GUESSED and channels * side * side == count:
                return channels, side, side
    return None


def pictures(
    x: Sequence[float], original: Sequence[float] | None, shape: tuple[int, int, int]
) -> dict[str, Any]:
    """The witness, the box's centre if given, and their difference, as data addresses of PNG images."""
    channels, height, width = shape
    point = _pixels(x, channels, height, width)
    center = None if original is None else _pixels(original, channels, height, width)
    low, high = _scale(point if center is None else np.concatenate([point, center]))
    found: dict[str, Any] = {"size": [height, width], "witness": png((point - low) / (high - low))}
    if center is not None:
        change = point - center
        most = float(np.abs(change).max())
        found["original"] = png((center - low) / (high - low))
        found["difference"] = png(_diverging(change / (most or 1.0)))
        found["most"] = most
        found["changed"] = int((np.abs(change) > 1e-9).sum())
    return found


def _pixels(x: Sequence[float], channels: int, height: int, width: int) -> np.ndarray:
    values = np.asarray(x, dtype=np.float64)
    if channels < 0:
        image: np.ndarray = values.reshape(height, width, -channels)
        return image
    image = values.reshape(channels, height, width).transpose(1, 2, 0)
    return image


def _scale(values: np.ndarray) -> tuple[float, float]:
    """Black and white: 0 and 1, 0 and 255, or the least and the greatest value."""
    low, high = float(values.min()), float(values.max())
    for top in (1.0, 255.0):
        if low >= -0.01 * top and high <= 1.01 * top and high > top / 64:
            return 0.0, top
    return low, high if high > low else low + 1.0


def _diverging(change: np.ndarray) -> np.ndarray:
    """Changes in [−1, 1] as colours: less is blue, more is red, none is white; three channels stay three."""
    if change.shape[2] == 3:
        colours: np.ndarray = 0.5 + change / 2
        return colours
    amount = np.abs(change)
    red = np.array([0.80, 0.20, 0.10])
    blue = np.array([0.10, 0.35, 0.80])
    ends: np.ndarray = np.where(change > 0, red, blue)
    coloured: np.ndarray = 1.0 + amount * (ends - 1.0)
    return coloured


def png(pixels: np.ndarray) -> str:
    """Pixels (height, width, 1 or 3) in [0, 1] as the data address of a PNG image."""
    height, width, channels = pixels.shape
    levels = np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), levels.reshape(height, -1)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def box_of(path: Path, x: Sequence[float]) -> tuple[np.ndarray, np.ndarray] | None:
    """The box (n,), (n,) of the property's disjunct that x sticks out of least; None if it is not to be had.

    Only for looking at: what the text means is settled by `normalize`.
    """
    compressed = path.with_name(f"{path.name}.gz")
    found = path if path.is_file() else compressed
    if not found.is_file() or found.stat().st_size > LARGEST_PROPERTY:
        return None
    from vnnverify.vnnlib.ast import Compare
    from vnnverify.vnnlib.cases import read_cases
    from vnnverify.vnnlib.disjuncts import TooManyDisjuncts, conjuncts, disjuncts
    from vnnverify.vnnlib.reading import load_property
    from vnnverify.vnnlib.terms import Terms

    point: np.ndarray = np.asarray(x)
    try:
        prop = load_property(found)
        lower, upper = np.full(prop.inputs, -np.inf), np.full(prop.inputs, np.inf)
        if prop.inputs != len(point):
            return None
        parts = conjuncts(prop.assertions)
        facts = tuple(expr for expr, _ in parts if isinstance(expr, Compare))
        unions = [(expr, number) for expr, number in parts if not isinstance(expr, Compare)]
        terms = Terms()
        read = [read_cases(prop, [facts], 0, terms)]
        read += [read_cases(prop, disjuncts(expr), prop.offsets[number], terms) for expr, number in unions]
        for cases in read:
            if not len(cases.lower):
                continue
            excess = np.maximum(cases.lower - point, point - cases.upper).max(axis=1)
            nearest = int(excess.argmin())
            lower = np.maximum(lower, cases.lower[nearest])
            upper = np.minimum(upper, cases.upper[nearest])
    except (VnnverifyError, TooManyDisjuncts):
        return None
    return (lower, upper) if np.isfinite(lower).all() and np.isfinite(upper).all() else None
