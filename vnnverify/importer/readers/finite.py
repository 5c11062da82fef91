# SPDX-License-Identifier: Apache-2.0
"""IsNaN and IsInf.

The answer is constant only where the operators alone decide it. Elsewhere it rests on the bounds of all that
the number is computed from, since a sum of what has overflowed may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.element_types import finfo, is_whole
from vnnverify.importer.registry import reads
from vnnverify.ir import Elementwise, Node, Op, Value
from vnnverify.ops.arrangement import Concat, Constant, Expand, Reshape, Select, Transpose
from vnnverify.ops.finite import NotFinite
from vnnverify.ops.gates import Gelu, GeluTanh, HardSwish, Mish, Silu
from vnnverify.ops.periodic import Cos, Sin
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu, Tent
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Elu, Exp, Softplus
from vnnverify.ops.softmax import Softmax
from vnnverify.ops.steps import Ceil, Floor, Round, Sign, Spike, Step, Trunc
from vnnverify.ops.trigonometry import Atan, Softsign
from vnnverify.simplify.masks import masked_scores

__all__: list[str] = []

_COPIES = (Concat, Expand, Reshape, Select, Transpose)
_TOTAL: tuple[type[Op], ...] = (
    *(Abs, Atan, Ceil, Clip, Elu, Erf, Exp, Floor, LeakyRelu, Relu, Round, Sigmoid, Sign, Softplus, Softsign),
    *(Spike, Step, Tanh, Tent, Trunc),
)
"""Functions that make NaN of nothing else, and of infinity neither."""
_BOUNDED: tuple[type[Op], ...] = (*_TOTAL, Cos, Gelu, GeluTanh, HardSwish, Mish, Silu, Sin)
"""Functions whose results are finite as their image is, or NaN."""
_LIMIT, _HALF_LIMIT = 1e15, 2e2
"""Squares of smaller numbers may be summed a million times in single precision, or once in half precision."""


@reads("IsNaN", "IsInf")
def _not_finite(node: NodeView) -> Operand:
    """Whether a number is NaN, or infinite with a sign that is asked for."""
    x = node.variable()
    nan = node.op_type == "IsNaN"
    positive, negative = (
        not nan and bool(node.attribute(f"detect_{s}", 1)) for s in ("positive", "negative")
    )
    made = {found.output: found for found in node.builder.nodes}
    if _never(made, x, nan) or not (nan or positive or negative):
        return np.zeros(x.shape, dtype=bool)
    before = tuple(_computed_from(made, x))
    kinds = [node.builder.types.get(value) for value in (x, *before)]
    half = any(kind is not None and not is_whole(kind) and kind.itemsize < 4 for kind in kinds)
    largest = float(finfo(node.types[0] or np.dtype(np.float32)).max)
    test = NotFinite(nan, positive, negative, largest, _HALF_LIMIT if half else _LIMIT)
    return node.add(test, x, *before)


def _never(made: Mapping[Value, Node], x: Value, nan: bool) -> bool:
    """Whether the operators alone keep a value from being NaN, or else infinite."""
    seen, pending = set(), [x]
    while pending:
        node = made.get(pending.pop())
        if node is None or node in seen or isinstance(node.op, Constant):
            continue
        seen.add(node)
        if not nan and isinstance(node.op, Elementwise) and isinstance(node.op, _BOUNDED):
            if all(abs(end) < float("inf") for end in node.op.image):
                continue
            return False
        if not isinstance(node.op, _COPIES) and not (nan and isinstance(node.op, _TOTAL)):
            return False
        pending += node.inputs
    return True


def _computed_from(made: Mapping[Value, Node], x: Value) -> Iterator[Value]:
    """All values that x is computed from, but for copies of others, and x.

    Masked scores are infinite; a softmax of them is none unless it is of nothing else.
    """
    seen, pending = {x}, [x]
    while pending:
        node = made.get(pending.pop())
        if node is None:
            continue
        masked = masked_scores(made, node) if isinstance(node.op, Softmax) else None
        for value in node.inputs if masked is None else (masked[0],):
            if value in seen:
                continue
            seen.add(value)
            pending.append(value)
            maker = made.get(value)
            if maker is None or not isinstance(maker.op, _COPIES):
                yield value
