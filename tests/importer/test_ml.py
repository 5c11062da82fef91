# SPDX-License-Identifier: Apache-2.0
"""Operators of `ai.onnx.ml` against onnxruntime, and what of them is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, numpy_helper
from single_node import OneNode, check_bounds, check_values

from vnnverify.domains.interval import bounds
from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.query import Box

WHOLE = TensorProto.INT64
NAN = float("nan")


def ml(
    op: str, *inputs: Any, opset: int = 3, cast: str = "", outputs: int = 1, kind: int = 1, **given: Any
) -> OneNode:
    low, high = (-4.0, 4.0) if cast else (-2.0, 2.0)
    return OneNode(op, inputs, "ai.onnx.ml", opset, given, outputs, kind, cast, low, high)


def tensor(values: list[float], kind: Any) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=kind))


def classifier(rows: int, transform: str, labels: list[Any], shape: tuple[int, ...] = (3, 2)) -> OneNode:
    key = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_ints"
    return OneNode(
        "LinearClassifier",
        (shape,),
        "ai.onnx.ml",
        1,
        {
            "coefficients": [0.5, -1.0, 2.0, 0.3, 1.0, 1.0][: 2 * rows],
            "intercepts": [0.1, -0.2, 0.3][:rows],
            "post_transform": transform,
            key: labels,
        },
        outputs=2,
        out_kind=TensorProto.STRING if isinstance(labels[0], str) else WHOLE,
    )


def regressor(
    targets: int, transform: str = "NONE", shape: tuple[int, ...] = (3, 2), **given: Any
) -> OneNode:
    weights = {"coefficients": [0.5, -1.0, 2.0, 0.3][: 2 * targets], "post_transform": transform}
    return ml("LinearRegressor", shape, targets=targets, **weights, **given)


def vectors(kernel: str, *parameters: float, **given: Any) -> OneNode:
    support = np.random.default_rng(1).uniform(-1, 1, 8).tolist()
    return ml(
        "SVMRegressor", (3, 2), coefficients=[0.5, -1.0, 2.0, 0.3], support_vectors=support, n_supports=4,
        rho=[0.2], kernel_type=kernel, kernel_params=parameters, **given,
    )  # fmt: skip


TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")
PLACES = np.array([[2, 0, 2]], np.int64)
CASES = [
    ml("Scaler", (2, 3), offset=[0.5, -1.0, 2.0], scale=[2.0, 0.1, -3.0]),
    ml("Scaler", (3,), offset=[0.5], scale=[2.0]),
    ml("Scaler", (2, 2), cast="int64", offset=[0.5, 1.5], scale=[2.0, 3.0]),
    *(ml("Normalizer", (4, 3), norm=norm) for norm in ("MAX", "L1", "L2")),
    *(ml("Normalizer", (3, 2), cast="int64", norm=norm) for norm in ("MAX", "L1", "L2")),
    ml("Imputer", (2, 3), replaced_value_float=NAN, imputed_value_floats=[1.0]),
    ml("Imputer", (2, 3), replaced_value_float=0.5, imputed_value_floats=[1.0, 2.0, 3.0]),
    ml("Imputer", (5, 3), cast="int64", kind=WHOLE, replaced_value_int64=2, imputed_value_int64s=[7, 8, 9]),
    ml("Imputer", (5, 3), cast="int64", kind=WHOLE, replaced_value_int64=0, imputed_value_int64s=[7]),
    ml("Binarizer", (2, 3), threshold=0.3),
    ml("FeatureVectorizer", (2, 3), (2, 2), (2, 1), inputdimensions=[2, 4, 1]),
    ml("FeatureVectorizer", (3,), inputdimensions=[3]),
    ml("ArrayFeatureExtractor", (2, 3), PLACES),
    ml("ArrayFeatureExtractor", (3,), PLACES),
    OneNode("ArrayFeatureExtractor", (np.array([5.0, 6.0, -7.0], np.float32), (1, 4)), "ai.onnx.ml", 1,
            cast="int64", low=0.0, high=2.0),
    ml("OneHotEncoder", (2, 2), cats_int64s=[-1, 0, 2, 0], zeros=1),
    ml("OneHotEncoder", (5,), cast="int64", cats_int64s=[3, 1], zeros=1),
    ml("LabelEncoder", (9,), cast="int64", kind=WHOLE, keys_int64s=[1, -2, 3, 1], values_int64s=[7, 8, 9, 6]),
    ml("LabelEncoder", (9,), cast="int64", keys_int64s=[1, -2], values_floats=[0.5, 0.1], default_float=2.5),
    ml("LabelEncoder", (2, 4), keys_floats=[0.0, NAN], values_floats=[7.0, 1.0]),
    ml("LabelEncoder", (9,), cast="int64", opset=4, keys_tensor=tensor([1, 2], np.int64),
       values_tensor=tensor([0.5, 7], np.float32), default_tensor=tensor([4], np.float32)),
    *(classifier(1, transform, [5, 9]) for transform in TRANSFORMS),
    *(classifier(2, transform, [0, 1]) for transform in TRANSFORMS),
    *(classifier(3, transform, [4, 7, 2]) for transform in TRANSFORMS),
    classifier(3, "SOFTMAX", [4, 7, 2], shape=(2,)),
    *(regressor(t, transform, intercepts=[0.1, -0.2][:t]) for t in (1, 2) for transform in TRANSFORMS),
    regressor(2, intercepts=[1.0]),  # of another size, so without effect
    regressor(1, shape=(2,)),
    vectors("LINEAR", 0.0, 0.0, 0.0), vectors("RBF", 0.5, 0.0, 3.0), vectors("SIGMOID", 0.5, 0.1, 3.0),
    vectors("POLY", 0.5, 0.1, 3.0), vectors("POLY", 0.5, 0.1, 2.0, one_class=1),
    ml("SVMRegressor", (3, 2), coefficients=[0.5, -1.0], rho=[0.2],
       kernel_params=[0.0, 0.0, 0.0]),
]  # fmt: skip


@pytest.mark.parametrize("one", CASES, ids=str)
def test_values_and_bounds_agree_with_onnxruntime(one: OneNode) -> None:
    check_values(one)
    check_bounds(one, width=1.0 if one.cast else 0.3)


SPECIAL = [
    (ml("Normalizer", (1, 2), norm="MAX"), [-1.0, 0.0]),  # the largest is zero: as it is
    (ml("Normalizer", (1, 2), norm="L1"), [0.0, 0.0]),
    (ml("Normalizer", (1, 2), norm="L2"), [0.0, 0.0]),
    (ml("Imputer", (1, 2), replaced_value_float=0.5, imputed_value_floats=[9.0]), [0.5, 0.25]),
    (ml("Binarizer", (1, 2), threshold=0.5), [0.5, 0.75]),
    (ml("LabelEncoder", (1, 2), keys_floats=[0.5], values_floats=[3.0]), [0.5, 0.25]),
    (classifier(2, "SOFTMAX_ZERO", [0, 1], shape=(2,)), [-0.2, 0.0]),  # the first score is zero
    (classifier(2, "NONE", [0, 1], shape=(2,)), [0.0, 0.0]),
]


@pytest.mark.parametrize(("one", "point"), SPECIAL, ids=str)
def test_points_where_functions_jump(one: OneNode, point: list[float]) -> None:
    x = torch.tensor([point], dtype=torch.float64).float().double()
    y = one.run(x)
    np.testing.assert_allclose(one.model.graph(x).numpy(), y, rtol=1e-6, atol=1e-7)
    low, high = bounds(one.model.graph, Box(x[0] - 0.25, x[0] + 0.25))
    assert (low.numpy() - 1e-6 <= y[0]).all()
    assert (y[0] <= high.numpy() + 1e-6).all()


@pytest.mark.parametrize(
    ("one", "kind", "text"),
    [
        (ml("Scaler", (2, 2, 2), offset=[0.0], scale=[1.0]), UnsupportedModelError, "an input of 3 axes"),
        (ml("Scaler", (2, 3), offset=[0.0, 1.0], scale=[1.0]), ModelError, "2 offsets and 1 scales for 3"),
        (ml("Normalizer", (2, 3), norm="L3"), ModelError, "the unknown norm 'L3'"),
        (ml("Imputer", (2, 3), imputed_value_floats=[1.0]), ModelError, "lacks the number to replace"),
        (ml("OneHotEncoder", (2,), cats_strings=["a"]), UnsupportedModelError, "text is not supported"),
        (ml("LabelEncoder", (2,), keys_floats=[1.0], values_strings=["a"]), UnsupportedModelError, "text"),
        (ml("ArrayFeatureExtractor", (2, 3), np.array([3])), ModelError, "places outside of 3 features"),
        (classifier(1, "PROBIT", [0, 1]), UnsupportedModelError, "the transformation 'PROBIT' of one score"),
        (classifier(3, "PROBIT", [0, 1, 2]), UnsupportedModelError, "the transformation 'PROBIT' of scores"),
        (classifier(1, "NONE", [3]), UnsupportedModelError, "1 intercepts for 1 classes"),
        (ml("TreeEnsembleRegressor", (1, 2)), UnsupportedModelError, "ai.onnx.ml.TreeEnsembleRegressor"),
        (ml("SVMClassifier", (1, 2), outputs=2, kind=WHOLE), UnsupportedModelError, "SVMClassifier"),
        (ml("CategoryMapper", (1, 2)), UnsupportedModelError, "ai.onnx.ml.CategoryMapper"),
        (vectors("POLY", 0.5, 0.1, 2.5), UnsupportedModelError, "the kernel 'POLY' of degree 2.5"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_read_is_refused(one: OneNode, kind: type[ModelError], text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        one.model  # noqa: B018
    assert type(caught.value) is kind
