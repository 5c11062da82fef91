# SPDX-License-Identifier: Apache-2.0
"""How bounds get through each kind of node."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from torch import Tensor

from vnnverify.diagnosis.coverage.treatment import NOT_BOUNDED, treatment
from vnnverify.ir import Op
from vnnverify.ops.arrangement import Reshape
from vnnverify.ops.maximum import ReduceMax
from vnnverify.ops.order import TopValues
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sigmoidal import Tanh
from vnnverify.ops.softmax import Softmax
from vnnverify.testing.operator_cases import single


@dataclass(frozen=True, slots=True, eq=False)
class Strange(Op):
    """Of which nothing is known."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0]


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (Reshape((4,)), "exact"),
        (Relu(), "relaxed/cases"),
        (ReduceMax((1,), False), "relaxed/cases"),
        (Tanh(), "relaxed"),
        (TopValues(1, 1), "relaxed"),
        (Softmax(1), "by parts"),
        (Strange(), NOT_BOUNDED),
    ],
    ids=lambda v: v.kind if isinstance(v, Op) else "",
)
def test_in_words(op: Op, words: str) -> None:
    (node,) = single(op, (2, 2)).nodes
    assert treatment(node, {}) == words
    helped = treatment(node, {"first": lambda graph: True, "second": lambda graph: False})
    assert helped == ("by first" if words == NOT_BOUNDED else words)
