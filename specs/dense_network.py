# SPDX-License-Identifier: Apache-2.0
"""A ReLU network as matrices, and zonotopes through it; plain floating point, no rounding control."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

__all__ = ["Array", "Network", "Zonotope", "evaluate", "read_network", "side_by_side"]

Array = NDArray[np.float64]
Network = list[tuple[Array, Array]]  # (W, b) of each layer, a ReLU between each two


def read_network(path: Path) -> Network:
    """Gemm and Conv layers of an ONNX file; a convolution becomes dense, column by column."""
    model = onnx.load(str(path))
    weights = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    found: Network = []
    for node in model.graph.node:
        if node.op_type == "Gemm":
            found.append((weights[node.input[1]], weights[node.input[2]]))
        elif node.op_type == "Conv":
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            kernel, bias = (torch.from_numpy(weights[name]) for name in node.input[1:])
            units = torch.eye(int(np.prod(shape)), dtype=torch.float64).reshape(-1, *shape[1:])
            columns = torch.nn.functional.conv2d(
                units, kernel, stride=attributes["strides"], padding=attributes["pads"][:2]
            )
            shape = tuple(columns[:1].shape)
            offset = bias[:, None, None].expand(shape[1:]).reshape(-1)
            found.append((columns.flatten(1).T.numpy().copy(), offset.numpy().copy()))
    return found


def side_by_side(network: Network, copies: int, columns: tuple[int, ...] | None) -> Network:
    """Copies of a network as one, of all inputs in turn; `columns` says which input each of those is."""
    found: Network = [(np.kron(np.eye(copies), W), np.tile(b, copies)) for W, b in network]
    if columns is not None:
        first, b = found[0]
        shared = np.zeros((len(b), max(columns) + 1))
        np.add.at(shared.T, list(columns), first.T)
        found[0] = shared, b
    return found


def evaluate(network: Network, x: Array) -> Array:
    """Outputs (batch, m) at x (batch, n)."""
    for index, (W, b) in enumerate(network):
        x = (np.maximum(x, 0) if index else x) @ W.T + b
    return x


class Zonotope:
    """The outputs over a box as centre + generators·e with |e_i| <= 1; the inputs' symbols come first.

    `pre` holds lower and upper bounds of every layer's values before the ReLU.
    Source of the ReLU step: Singh et al., Fast and Effective Robustness Certification, NeurIPS 2018.
    """

    def __init__(self, network: Network, lower: Array, upper: Array) -> None:
        centre, generators = (lower + upper) / 2, np.diag((upper - lower) / 2)
        self.pre: list[tuple[Array, Array]] = []
        for index, (W, b) in enumerate(network):
            if index:
                centre, generators = _relu(centre, generators, *self.pre[-1])
            centre, generators = W @ centre + b, W @ generators
            radius = np.abs(generators).sum(axis=1)
            self.pre.append((centre - radius, centre + radius))
        self.centre, self.generators = centre, generators

    @property
    def undecided(self) -> int:
        """How many ReLUs may be on either side."""
        return sum(int(((low < 0) & (high > 0)).sum()) for low, high in self.pre[:-1])


def _relu(centre: Array, generators: Array, low: Array, high: Array) -> tuple[Array, Array]:
    crossing = (low < 0) & (high > 0)
    slope = np.where(crossing, high / np.where(crossing, high - low, 1.0), (low >= 0).astype(float))
    shift = np.where(crossing, -slope * low / 2, 0.0)
    return slope * centre + shift, np.hstack([slope[:, None] * generators, np.diag(shift)[:, crossing]])
