# SPDX-License-Identifier: Apache-2.0
"""Matrix products, with one side variable or both."""

from __future__ import annotations

from node_cases.case import Case, case, weights

__all__ = ["product_cases"]


def product_cases() -> list[Case]:
    return [
        case("Gemm", (1, 4), weights(4, 3)),
        case("Gemm", (2, 4), weights(3, 4), weights(3), transB=1),
        case("Gemm", (4, 2), weights(3, 4), weights(2, 3), transA=1, transB=1, alpha=0.5, beta=2.0),
        case("Gemm", (2, 4), weights(4, 3), weights(2, 1), opset=9),
        case("Gemm", (2, 4), weights(4, 3), weights(1), opset=11),
        case("Gemm", (2, 4), weights(4, 3), weights(3), opset=7),
        case("Gemm", (2, 4), weights(4, 2), weights(2, 1), beta=0.5, note="column, square"),
        case("Gemm", (3, 4), weights(4, 2), weights(3, 1), beta=-0.5, note="column"),
        case("Gemm", (1, 4), weights(4, 2), weights(1, 1), note="C of one"),
        case("Gemm", (2, 4), weights(4, 2), weights(), note="C without axes"),
        case("Gemm", (2, 4), weights(4, 2), weights(2, 2), note="whole C, square"),
        case("Gemm", weights(2, 4), (4, 2), weights(2, 1), note="constant A, column"),
        case("Gemm", (2, 4), weights(4, 3), (1, 3), beta=0.5, note="variable C"),
        case("Gemm", weights(2, 4), (4, 3), weights(3), note="constant A"),
        case("Gemm", weights(4, 2), (3, 4), transA=1, transB=1, alpha=3.0, note="constant A"),
        case("Gemm", (2, 4), (4, 3), weights(2, 3), alpha=0.25, note="both variable"),
        case("MatMul", (1, 4), weights(4, 3)),
        case("MatMul", (4,), weights(4, 3), note="vector"),
        case("MatMul", (1,), weights(1, 3), note="vector of one"),
        case("MatMul", (2, 3, 4), weights(4, 3)),
        case("MatMul", (2, 4), weights(4), note="times vector"),
        case("MatMul", (4,), weights(4), note="dot"),
        case("MatMul", weights(3, 4), (4, 2)),
        case("MatMul", weights(3, 4), (4,)),
        case("MatMul", weights(4), (4, 2)),
        case("MatMul", weights(4), (4,), note="dot"),
        case("MatMul", weights(2, 3, 4), (4,), note="stack left"),
        case("MatMul", weights(3, 4), (2, 4, 2)),
        case("MatMul", weights(2, 3, 4), (2, 4, 2), note="stack left"),
        case("MatMul", weights(2, 3, 4), (4, 2), note="stack left"),
        case("MatMul", (2, 3, 4), weights(2, 4, 2), note="stack right"),
        case("MatMul", (3, 4), weights(2, 4, 2), note="stack right"),
        case("MatMul", (1, 3, 4), weights(5, 1, 4, 2), note="stack right"),
        case("MatMul", (2, 3), (3, 4), note="both variable"),
        case("MatMul", (2, 2, 3), (3, 4), note="both variable"),
        case("MatMul", (3,), (3, 4), note="both variable"),
        case("MatMul", (2, 3), (3,), note="both variable"),
        case("MatMul", (3,), (3,), note="both variable"),
    ]
