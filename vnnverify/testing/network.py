# SPDX-License-Identifier: Apache-2.0
"""Tiny ReLU networks with rational weights, written as ONNX models."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Network"]

Weight = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Network:
    """Layers W x + b with a ReLU between each two. Every weight must be exact in float32."""

    layers: tuple[tuple[Weight, tuple[Fraction, ...]], ...]

    @classmethod
    def of(cls, *layers: tuple[Sequence[Sequence[float]], Sequence[float]]) -> Network:
        """From nested lists of (W, b).

        Raises:
            ValueError: a number is not exact in float32.
        """
        exact = tuple(
            (tuple(tuple(map(_exact, row)) for row in weight), tuple(map(_exact, bias)))
            for weight, bias in layers
        )
        return cls(exact)

    @classmethod
    def random(cls, sizes: Sequence[int], seed: int) -> Network:
        """Weights and biases are whole quarters between −1 and 1."""
        rng = random.Random(seed)

        def row(count: int) -> list[float]:
            return [rng.randint(-4, 4) / 4 for _ in range(count)]

        return cls.of(
            *(([row(n_in) for _ in range(n_out)], row(n_out)) for n_in, n_out in itertools.pairwise(sizes))
        )

    @property
    def inputs(self) -> int:
        """n."""
        return len(self.layers[0][0][0])

    @property
    def outputs(self) -> int:
        """m."""
        return len(self.layers[-1][1])

    def __call__(self, x: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """Exact outputs at x."""
        values = tuple(x)
        for depth, (weight, bias) in enumerate(self.layers):
            if depth:
                values = tuple(max(v, Fraction(0)) for v in values)
            values = tuple(
                sum((w * v for w, v in zip(row, values, strict=True)), b)
                for row, b in zip(weight, bias, strict=True)
            )
        return values

    def permuted(self) -> Network:
        """The same function with the units of every hidden layer in reverse order."""
        layers = list(self.layers)
        for depth in range(len(layers) - 1):
            (weight, bias), (after, offset) = layers[depth], layers[depth + 1]
            layers[depth] = (weight[::-1], bias[::-1])
            layers[depth + 1] = (tuple(row[::-1] for row in after), offset)
        return Network(tuple(layers))

    def scaled(self, factor: Fraction) -> Network:
        """The network with all outputs multiplied by `factor`."""
        weight, bias = self.layers[-1]
        last = (tuple(tuple(factor * w for w in row) for row in weight), tuple(factor * b for b in bias))
        return Network((*self.layers[:-1], last))

    def to_onnx(self, *, apart: bool = False) -> bytes:
        """A chain of Gemm and Relu nodes to Y (1, m), float32, opset 13.

        The input is X (1, n); or, if `apart`, n tensors X0, X1 … of shape (1,) to be concatenated.
        """
        names = [f"X{k}" for k in range(self.inputs)] if apart else ["X"]
        nodes, weights, x = [], [], "X"
        if apart:
            nodes.append(helper.make_node("Concat", names, ["X"], name="concat", axis=0))
            nodes.append(helper.make_node("Unsqueeze", ["X", "axes"], ["row"], name="unsqueeze"))
            weights.append(numpy_helper.from_array(np.array([0], dtype=np.int64), "axes"))
            x = "row"
        for depth, (weight, bias) in enumerate(self.layers):
            if depth:
                nodes.append(helper.make_node("Relu", [x], [f"r{depth}"], name=f"relu{depth}"))
                x = f"r{depth}"
            y = "Y" if depth == len(self.layers) - 1 else f"z{depth}"
            for name, array in ((f"W{depth}", weight), (f"b{depth}", bias)):
                weights.append(numpy_helper.from_array(np.array(array, dtype=np.float32), name))
            gemm = helper.make_node(
                "Gemm", [x, f"W{depth}", f"b{depth}"], [y], name=f"linear{depth}", transB=1
            )
            nodes.append(gemm)
            x = y
        shape = (1,) if apart else (1, self.inputs)
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
            [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (1, self.outputs))],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def _exact(number: float) -> Fraction:
    if float(np.float32(number)) != number:
        raise ValueError(f"{number!r} is not exact in float32")
    return Fraction(number)
