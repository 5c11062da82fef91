# SPDX-License-Identifier: Apache-2.0
"""Linear models of `ai.onnx.ml`, support vector regression, and the map of probabilities at the end."""

from __future__ import annotations

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.choice import Choice
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Abs
from vnnverify.ops.requantized import Lookup
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.smooth import Exp, Power, Reciprocal
from vnnverify.ops.steps import Step
from vnnverify.ops.sums import ReduceSum

__all__: list[str] = []

DOMAIN = "ai.onnx.ml"
_ALMOST_ZERO = float(np.float32(0.0000001))
"""Scores up to this size are taken for zero by SOFTMAX_ZERO."""


def _rows(node: NodeView) -> Value:
    """The input as rows of features."""
    x = node.variable()
    if not 1 <= len(x.shape) <= 2:
        raise node.unsupported(f"an input of {len(x.shape)} axes")
    return node.reshaped(x, (1, x.size)) if len(x.shape) == 1 else x


def _scores(node: NodeView, x: Value, targets: int, intercepts: np.ndarray | None) -> Value:
    weight = np.asarray(node.attribute("coefficients", []), dtype=np.float64)
    if weight.size != targets * x.shape[1]:
        raise node.error(f"has {weight.size} coefficients for {targets} times {x.shape[1]} features")
    bias = None if intercepts is None else as_tensor(intercepts)
    return node.add(Linear(as_tensor(weight.reshape(targets, -1)), bias), x)


def _transformed(node: NodeView, scores: Value) -> Value:
    """What `post_transform` makes of two scores or more."""
    kind = str(node.attribute("post_transform", "NONE"))
    if kind == "NONE":
        return scores
    if kind == "LOGISTIC":
        return node.add(Sigmoid(), scores)
    if kind == "SOFTMAX":
        return as_onnx(node, "Softmax", scores, axis=1)
    if kind == "SOFTMAX_ZERO":
        return _softmax_zero(node, scores)
    raise node.unsupported(f"the transformation {kind!r} of scores")


def _softmax_zero(node: NodeView, scores: Value) -> Value:
    """Softmax over the scores that are not zero; those that are stay as they are, over the same sum."""
    far = scaled(node, node.add(Abs(), scores), None, -np.array(_ALMOST_ZERO))
    counted, powers = node.add(Step(), far), node.add(Exp(), scores)
    terms = node.add(Choice(), counted, powers, scaled(node, scores, np.array(0.0), None))
    total = node.add(ReduceSum((1,), True, 1.0, scores.shape[1]), terms)
    inverse = node.expanded(node.add(Reciprocal(), total), scores.shape)
    return node.add(Mul(), node.add(Choice(), counted, powers, scores), inverse)


@reads("LinearRegressor", domain=DOMAIN)
def _regressor(node: NodeView) -> Operand:
    """A linear function of each row; a single target is not transformed."""
    x, targets = _rows(node), int(node.attribute("targets", 1))
    intercepts = np.asarray(node.attribute("intercepts", []), dtype=np.float64)
    scores = _scores(node, x, targets, intercepts if intercepts.size == targets else None)
    if targets == 1:
        if node.attribute("post_transform", "NONE") == "PROBIT":
            raise node.unsupported("the transformation 'PROBIT' of scores")
        return scores
    return _transformed(node, scores)


@reads("LinearClassifier", domain=DOMAIN)
def _classifier(node: NodeView) -> list[Operand | None]:
    """The label of the largest score, if labels are numbers, and the scores of all classes.

    One row of coefficients for two classes gives the score of the second; that of the first is 1 less it.
    """
    x, intercepts = _rows(node), np.asarray(node.attribute("intercepts", []), dtype=np.float64)
    texts, numbers = node.attribute("classlabels_strings", []), node.attribute("classlabels_ints", [])
    classes, count = len(texts or numbers), intercepts.size
    if not count or classes != max(2, count):
        raise node.unsupported(f"{count} intercepts for {classes} classes")
    scores = _scores(node, x, count, intercepts)
    if count == 1:
        best = node.reshaped(node.add(Step(), scores), (x.shape[0],))
        found = _of_two(node, scores)
    else:
        best = as_onnx(node, "ArgMax", scores, axis=1, keepdims=0)
        found = _transformed(node, scores)
    return [None if texts else _label(node, best, numbers), found]


def _of_two(node: NodeView, score: Value) -> Value:
    """1 − p and p, where p is the score, or what LOGISTIC makes of it."""
    kind = str(node.attribute("post_transform", "NONE"))
    if kind not in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
        raise node.unsupported(f"the transformation {kind!r} of one score")
    second = node.add(Sigmoid(), score) if kind == "LOGISTIC" else score
    return node.add(Concat(1), scaled(node, second, np.array(-1.0), np.array(1.0)), second)


def _label(node: NodeView, place: Value, labels: list[int]) -> Value:
    if labels == list(range(len(labels))):
        return place
    if max(abs(label) for label in labels) > 1 << 53:
        raise node.unsupported("labels of more than 53 bits")
    return node.add(Lookup(0, torch.tensor(labels, dtype=torch.float64)), place)


@reads("ZipMap", domain=DOMAIN)
def _zip_map(node: NodeView) -> Operand:
    """The values of the maps in the order of the classes."""
    x = _rows(node)
    count = len(node.attribute("classlabels_strings", []) or node.attribute("classlabels_int64s", []))
    if count != x.shape[1]:
        raise node.error(f"has {count} classes for {x.shape[1]} numbers")
    return x


@reads("SVMRegressor", domain=DOMAIN)
def _svm_regressor(node: NodeView) -> Operand:
    """Σ_i c_i·k(x, v_i) + rho over the support vectors v_i, or a linear function of x; with `one_class`
    its sign."""
    x, supports = _rows(node), int(node.attribute("n_supports", 0))
    rho = np.asarray(node.attribute("rho", [0.0]), dtype=np.float64)[:1]
    weight = np.asarray(node.attribute("coefficients", []), dtype=np.float64)
    kernels = _kernels(node, x, supports) if supports else x
    if weight.size != kernels.shape[1]:
        raise node.error(f"has {weight.size} coefficients for {kernels.shape[1]} numbers")
    found = node.add(Linear(as_tensor(weight[None]), as_tensor(rho)), kernels)
    if node.attribute("one_class", 0):
        found = scaled(node, node.add(Step(), found), np.array(2.0), np.array(-1.0))
    return found


def _kernels(node: NodeView, x: Value, supports: int) -> Value:
    """k(x, v) of each row and each support vector."""
    kind = str(node.attribute("kernel_type", "LINEAR"))
    gamma, shift, degree = (*(float(p) for p in node.attribute("kernel_params", [])), 0.0, 0.0, 0.0)[:3]
    vectors = np.asarray(node.attribute("support_vectors", []), dtype=np.float64).reshape(supports, -1)
    if vectors.shape[1] != x.shape[1]:
        raise node.error(f"has support vectors of {vectors.shape[1]} for {x.shape[1]} features")
    if kind == "RBF":
        wide = (x.shape[0], supports, x.shape[1])
        rows = node.expanded(node.reshaped(x, (x.shape[0], 1, x.shape[1])), node.within_limit(wide))
        squares = node.add(Power(2.0), scaled(node, rows, None, -vectors))
        distance = node.add(ReduceSum((2,), False, 1.0, x.shape[1]), squares)
        return node.add(Exp(), scaled(node, distance, np.array(-gamma), None))
    products = node.add(Linear(as_tensor(vectors)), x)
    if kind == "LINEAR":
        return products
    inner = scaled(node, products, np.array(gamma), np.array(shift))
    if kind == "SIGMOID":
        return node.add(Tanh(), inner)
    if kind == "POLY" and degree > 0 and degree == int(degree):
        return inner if degree == 1 else node.add(Power(degree), inner)
    raise node.unsupported(f"the kernel {kind!r} of degree {degree:g}")
