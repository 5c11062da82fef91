# SPDX-License-Identifier: Apache-2.0
"""Makes tiny.onnx: two inputs, two outputs, four hidden ReLUs, answers to be seen by hand.

Y_0 = max(X_0, X_1)     Y_1 = |X_0 − X_1|
"""

from __future__ import annotations

from pathlib import Path

import torch
from onnx_file import write_model
from torch import nn

HIDDEN = [[1.0, -1.0], [-1.0, 1.0], [0.0, 1.0], [0.0, -1.0]]  # x0 − x1, x1 − x0, x1, −x1
OUTPUT = [[1.0, 0.0, 1.0, -1.0], [1.0, 1.0, 0.0, 0.0]]


def tiny() -> nn.Sequential:
    """The network, all weights −1, 0 or 1."""
    chain = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    for layer, weight in ((chain[0], HIDDEN), (chain[2], OUTPUT)):
        layer.weight.data = torch.tensor(weight)
        layer.bias.data.zero_()
    return chain


if __name__ == "__main__":
    write_model(Path(__file__).with_name("tiny.onnx"), tiny(), (1, 2), 2)
