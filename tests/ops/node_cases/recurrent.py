# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from node_cases.case import Case, case, weights

__all__ = ["recurrent_cases"]


def recurrent_cases() -> list[Case]:
    """Three steps of two sequences of two inputs, with three hidden elements."""
    x = (3, 2, 2)
    lengths = np.array([3, 1], np.int32)
    found = []
    for op, gates, outputs in (("RNN", 1, 2), ("GRU", 3, 2), ("LSTM", 4, 3)):
        sizes: dict[str, Any] = {"hidden_size": 3, "outputs": outputs}
        one = weights(1, 3 * gates, 2), weights(1, 3 * gates, 3)
        two = weights(2, 3 * gates, 2), weights(2, 3 * gates, 3), weights(2, 6 * gates)
        states = (None, weights(1, 2, 3)) if op == "RNN" else (None, (1, 2, 3))
        found += [
            case(op, x, *one, opset=7, **sizes),
            case(op, x, *one, weights(1, 6 * gates), *states, **sizes, note="initial state"),
            case(op, x, *two, lengths, opset=14, direction="bidirectional", **sizes, note="lengths"),
        ]
        if op != "GRU":
            found.append(case(op, x, *one, direction="reverse", clip=0.5, opset=14, **sizes))
    gru = weights(1, 9, 2), weights(1, 9, 3), weights(1, 18)
    lstm = weights(1, 12, 2), weights(1, 12, 3), weights(1, 24), None, None, (1, 2, 3), weights(1, 9)
    found += [
        case("GRU", x, *gru, hidden_size=3, outputs=2, linear_before_reset=1),
        case("LSTM", x, *lstm, hidden_size=3, outputs=3, note="peepholes"),
        case("RNN", x, weights(1, 3, 2), weights(1, 3, 3), hidden_size=3, outputs=2, activations=["Relu"]),
    ]
    return found
