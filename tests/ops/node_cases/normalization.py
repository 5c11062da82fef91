# SPDX-License-Identifier: Apache-2.0
"""Layers that normalise, and the reductions they are made of."""

from __future__ import annotations

from node_cases.case import Case, case, ints, weights

__all__ = ["normalization_cases"]


def normalization_cases() -> list[Case]:
    image = (2, 4, 3, 2)
    return [
        case("LayerNormalization", (2, 3, 4), weights(4), weights(4), opset=17),
        case("LayerNormalization", (2, 3, 4), weights(3, 4), axis=1, opset=17, epsilon=0.1),
        case("RMSNormalization", (2, 3, 4), weights(4), opset=23),
        case("InstanceNormalization", image, weights(4), weights(4), epsilon=0.01),
        case("GroupNormalization", image, weights(4), weights(4), num_groups=2, opset=21),
        case(
            "LayerNormalization",
            (2, 3, 4),
            weights(4),
            weights(4),
            opset=17,
            outputs=3,
            note="further outputs",
        ),
        case("LayerNormalization", (2, 4), (4,), (1, 4), opset=17, note="computed scale and bias"),
        case("LpNormalization", (2, 3), axis=1),
        case("LpNormalization", (2, 3), axis=0, p=1),
        case("LRN", image, size=3, alpha=0.5, beta=0.75, bias=1.5),
        case("LRN", image, size=1, beta=0.5),
        case("MeanVarianceNormalization", image),
        case("ReduceL1", (2, 3, 4), axes=[1]),
        case("ReduceL2", (2, 3, 4), axes=[0, 2], keepdims=0),
        case("ReduceSumSquare", (2, 3), axes=[1]),
        case("ReduceLogSum", (2, 3), axes=[1], low=0.2),
        case("ReduceLogSumExp", (2, 3, 2), axes=[0, 1]),
        case("ReduceProd", (2, 3), axes=[1], keepdims=0),
        case("ReduceProd", (2, 3), ints(0), opset=18),
    ]
