# SPDX-License-Identifier: Apache-2.0
"""Sums, products and quotients of elements; reductions; softmax."""

from __future__ import annotations

from node_cases.case import Case, case, ints, number, weights

__all__ = ["arithmetic_cases"]


def arithmetic_cases() -> list[Case]:
    found = []
    for op in ("Add", "Sub", "Mul", "Div"):
        low = 0.5 if op == "Div" else -2.0
        positive = weights(1, 3, 1, low=0.5, high=2.0)
        found += [
            case(op, (2, 3, 4), positive),
            case(op, (2, 3, 4), positive, opset=7),
            case(op, (3, 1), positive, note="enlarged"),
            case(op, (4,), positive, note="enlarged"),
            case(op, (2, 3), number(1.5), note="scalar"),
            case(op, positive, (2, 3, 4), low=low),
            case(op, positive, (4,), low=low, note="enlarged"),
            case(op, (2, 3), (2, 3), low=low),
            case(op, (2, 3), (3,), low=low, note="broadcast"),
            case(op, (2, 1), (1, 3), low=low, note="broadcast"),
        ]
    bn = [weights(3), weights(3), weights(3), weights(3) ** 2 + 0.1]
    found += [
        case("Neg", (2, 3)),
        case("Sum", (2, 3), (3,), (2, 1)),
        case("Sum", (2, 3), weights(2, 3), (2, 3), opset=8),
        case("Sum", (2, 3)),
        case("BatchNormalization", (2, 3, 4, 2), *bn),
        case("BatchNormalization", (2, 3), *bn, epsilon=0.1, opset=9),
        case("BatchNormalization", (1, 3, 5), *bn, opset=7),
        case("BatchNormalization", (1, 3, 5), *bn, opset=15),
        case("ReduceSum", (2, 3, 4), ints(1), keepdims=0),
        case("ReduceSum", (2, 3, 4), ints(-1, 0)),
        case("ReduceSum", (2, 3, 4)),
        case("ReduceSum", (2, 3), ints(), noop_with_empty_axes=1),
        case("ReduceSum", (2, 3, 4), axes=[0, 2], opset=11),
        case("ReduceMean", (2, 3, 4), axes=[-1]),
        case("ReduceMean", (2, 3, 4), axes=[1, 2], keepdims=0),
        case("ReduceMean", (2, 3, 4), ints(2), opset=18),
        case("ReduceMax", (2, 3, 4), axes=[1]),
        case("ReduceMax", (2, 3, 4), axes=[0, 2], keepdims=0),
        case("ReduceMin", (2, 3, 4), axes=[-1]),
        case("ReduceMax", (2, 3), ints(1), opset=18),
        case("Max", (2, 3), (2, 3)),
        case("Max", (2, 3), weights(3), (2, 1)),
        case("Min", (2, 3), (3,)),
        case("Max", (2, 3)),
        case("Softmax", (2, 3), axis=1),
        case("Softmax", (2, 3, 4), axis=-1),
        case("Softmax", (2, 3, 4), axis=1, opset=11, note="flattening"),
        case("Softmax", (2, 3, 4), opset=9, note="flattening"),
    ]
    return found
