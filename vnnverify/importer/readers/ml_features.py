# SPDX-License-Identifier: Apache-2.0
"""Operators of `ai.onnx.ml` that prepare features: scaling, norms, replaced, picked and encoded numbers.

Text can be neither an input nor what a property speaks of; what has text is refused.
"""

from __future__ import annotations

from math import isnan

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.readers.order import picked
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Pad, Select
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.choice import Choice
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import ReduceMax
from vnnverify.ops.piecewise import Abs, Clip, Tent
from vnnverify.ops.smooth import Power, Reciprocal, Sqrt
from vnnverify.ops.steps import Spike, Step, Trunc
from vnnverify.ops.sums import ReduceSum

__all__: list[str] = []

DOMAIN = "ai.onnx.ml"
MOST_KEYS = 4096
"""Numbers that one is compared with."""
_SMALLEST = 2.0**-149
"""The smallest positive float32: no norm of float32 numbers that are not all zero is below it."""


def _features(node: NodeView) -> tuple[Value, int]:
    """The input and its number of features.

    Raises:
        UnsupportedModelError: it has more than two axes, whose order onnxruntime takes no notice of.
    """
    x = node.variable()
    if not 1 <= len(x.shape) <= 2:
        raise node.unsupported(f"an input of {len(x.shape)} axes")
    return x, x.shape[-1]


def _numbers(node: NodeView, key: str) -> np.ndarray:
    return np.asarray(node.attribute(key, []), dtype=np.float64)


@reads("Scaler", domain=DOMAIN)
def _scaler(node: NodeView) -> Operand:
    """(x − offset)·scale."""
    x, count = _features(node)
    offset, scale = _numbers(node, "offset"), _numbers(node, "scale")
    if offset.size != scale.size or scale.size not in (1, count):
        raise node.error(f"has {offset.size} offsets and {scale.size} scales for {count} features")
    return scaled(node, scaled(node, x, None, -offset), scale, None)


@reads("Normalizer", domain=DOMAIN)
def _normalizer(node: NodeView) -> Operand:
    """x over the sum of its sizes, its length, or its largest element; as it is where that is zero."""
    x, count = _features(node)
    axis, norm = len(x.shape) - 1, str(node.attribute("norm", "MAX"))
    if norm == "MAX":
        most = node.expanded(node.add(ReduceMax((axis,), True), x), x.shape)
        quotient = node.add(Mul(), x, node.add(Reciprocal(), most))
        return node.add(Choice(), node.add(Spike(), most), x, quotient)
    if norm not in ("L1", "L2"):
        raise node.error(f"has the unknown norm {norm!r}")
    terms = node.add(Abs() if norm == "L1" else Power(2.0), x)
    total = node.add(ReduceSum((axis,), True, 1.0, count), terms)
    size = total if norm == "L1" else node.add(Sqrt(), total)
    inverse = node.add(Reciprocal(), node.add(Clip(_SMALLEST, float("inf")), size))
    return node.add(Clip(-1.0, 1.0), node.add(Mul(), x, node.expanded(inverse, x.shape)))


@reads("Imputer", domain=DOMAIN)
def _imputer(node: NodeView) -> Operand:
    """Other numbers for those that equal one; nothing that a model computes equals NaN."""
    x, count = _features(node)
    whole = node.is_whole(0)
    key = "replaced_value_int64" if whole else "replaced_value_float"
    imputed = _numbers(node, "imputed_value_int64s" if whole else "imputed_value_floats")
    replaced = node.attribute(key)
    if replaced is None or not imputed.size:
        raise node.error("lacks the number to replace, or those to put in its place")
    if isnan(replaced):
        return x
    new = imputed if imputed.size == count else imputed[:1]
    return as_onnx(node, "Where", as_onnx(node, "Equal", x, np.array(float(replaced))), new, x)


@reads("Binarizer", domain=DOMAIN)
def _binarizer(node: NodeView) -> Operand:
    """1 above the threshold, else 0."""
    x = node.variable()
    return node.add(Step(), scaled(node, x, None, -np.array(float(node.attribute("threshold", 0.0)))))


@reads("FeatureVectorizer", domain=DOMAIN)
def _vectorizer(node: NodeView) -> Operand:
    """Rows of all inputs behind each other, each cut or filled with zeros to its number of features."""
    sizes = [int(n) for n in node.attribute("inputdimensions", [])]
    if len(sizes) != len(node.inputs):
        raise node.error(f"has {len(sizes)} numbers of features for {len(node.inputs)} inputs")
    parts = []
    for index, size in enumerate(sizes):
        x = node.variable(index)
        rows = 1 if len(x.shape) == 1 else x.shape[0]
        x = node.reshaped(x, (rows, x.size // max(1, rows)))
        kept = min(size, x.shape[1])
        places = torch.arange(x.size).reshape(x.shape)[:, :kept].contiguous()
        cut = node.add(Select.of(places, (rows, kept)), x) if kept < x.shape[1] else x
        parts.append(node.add(Pad((0, 0), (0, size - kept)), cut) if kept < size else cut)
    return node.add(Concat(1), *parts) if len(parts) > 1 else parts[0]


@reads("ArrayFeatureExtractor", domain=DOMAIN)
def _extractor(node: NodeView) -> Operand:
    """Elements along the last axis at the given places."""
    x, index = node.operand(0), node.operand(1)
    if x is None or index is None:
        raise node.error("the array or the places are missing")
    if isinstance(x, np.ndarray) and x.dtype.kind in "OSU":
        raise node.unsupported("text")
    value = node.variable(0)
    shape = (1, index.size) if len(value.shape) == 1 else (*value.shape[:-1], index.size)
    axis = len(value.shape) - 1
    if isinstance(index, Value):
        return node.reshaped(
            picked(node, value, node.reshaped(index, (index.size,)), axis, elements=False), shape
        )
    flat = index.reshape(-1).astype(np.int64)
    if ((flat < 0) | (flat >= value.shape[-1])).any():
        raise node.error(f"asks for places outside of {value.shape[-1]} features")
    places = np.arange(value.size).reshape(value.shape)[..., flat]
    return node.add(Select.of(torch.from_numpy(np.ascontiguousarray(places)), shape), value)


def _hits(node: NodeView, x: Value, keys: np.ndarray, whole: bool) -> Value:
    """1 where an element of x equals a key, else 0, for x of n elements and k keys: (n, k)."""
    if len(keys) > MOST_KEYS:
        raise node.unsupported(f"more than {MOST_KEYS} keys")
    shape = node.within_limit((x.size, len(keys)))
    wide = node.expanded(node.reshaped(x, (x.size, 1)), shape)
    gap = scaled(node, wide, None, -keys)
    return node.add(Tent() if whole else Spike(), gap)


@reads("OneHotEncoder", domain=DOMAIN)
def _one_hot(node: NodeView) -> Operand:
    """1 for the category that the whole part of x is, else 0."""
    x, _ = _features(node)
    categories = node.attribute("cats_int64s", [])
    if not categories or node.attribute("cats_strings", []):
        raise node.unsupported("text")
    last = {int(key): place for place, key in enumerate(categories)}  # of equal ones the last counts
    x = x if node.is_whole(0) else node.add(Trunc(), x)
    hits = _hits(node, x, np.array(categories, dtype=np.float64), whole=True)
    counts = np.array([float(last[int(key)] == place) for place, key in enumerate(categories)])
    return node.reshaped(
        hits if counts.all() else scaled(node, hits, counts, None), (*x.shape, len(categories))
    )


@reads("LabelEncoder", domain=DOMAIN, since=2)
def _label_encoder(node: NodeView) -> Operand:
    """The value of the key that x equals, or the default."""
    x, whole = node.variable(), node.is_whole(0)
    keys, values = _entries(node, "keys"), _entries(node, "values")
    if keys.size != values.size:
        raise node.error(f"has {keys.size} keys for {values.size} values")
    default = node.attribute("default_tensor")
    if default is None:
        default = (
            node.attribute("default_int64", -1) if _is_whole(node) else node.attribute("default_float", 0.0)
        )
    other = float(np.asarray(default, dtype=np.float64).reshape(-1)[0])
    known = ~np.isnan(keys)
    keys, first = np.unique(keys[known], return_index=True)
    values = values[known][first]
    hits = _hits(node, x, keys, whole)
    found = node.add(Linear(as_tensor((values - other)[None]), as_tensor(np.array([other])), 1), hits)
    return node.reshaped(found, x.shape)


def _is_whole(node: NodeView) -> bool:
    """Whether the values of a LabelEncoder are whole numbers."""
    tensor = node.attribute("values_tensor")
    return "values_int64s" in node.attributes or (tensor is not None and tensor.dtype.kind in "iu")


def _entries(node: NodeView, which: str) -> np.ndarray:
    """Keys or values as numbers.

    Raises:
        UnsupportedModelError: they are text.
    """
    for suffix in ("int64s", "floats", "tensor"):
        found = node.attribute(f"{which}_{suffix}")
        if found is not None and np.asarray(found).dtype.kind in "iuf":
            return np.asarray(found, dtype=np.float64).reshape(-1)
    raise node.unsupported("text")
