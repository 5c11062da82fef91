# SPDX-License-Identifier: Apache-2.0
"""Dynamic axes take the sizes that leave the property its number of inputs, if there is one way."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import pytest
from onnx import TensorProto, helper

from vnnverify.errors import ModelError
from vnnverify.importer import read_model
from vnnverify.importer.model import read_layout
from vnnverify.importer.sizing import sized_inputs
from vnnverify.loading.loader import build_query
from vnnverify.vnnlib import parse_property

Axes = Sequence[int | str | None]


def model(*inputs: Axes) -> onnx.ModelProto:
    """The sum of all inputs, each of which has these axes."""
    names = [f"x{k}" for k in range(len(inputs))]
    infos = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, axes)
        for n, axes in zip(names, inputs, strict=True)
    ]
    sums = [helper.make_node("ReduceSum", [n], [f"s{n}"], keepdims=0) for n in names]
    total = helper.make_node("Sum", [f"s{n}" for n in names], ["y"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph([*sums, total], "g", infos, [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize(
    ("inputs", "elements", "expected"),
    [
        ([["b", 5]], 5, None),
        ([["b", "f"]], 1, None),
        ([[2, 3]], 7, None),  # the property does not fit, which is said later
        ([["b", 5]], 15, [(3, 5)]),
        ([[1, "f"]], 7, [(1, 7)]),
        ([[None, 5]], 10, [(2, 5)]),
        ([[1, 3, "n", "n"]], 48, [(1, 3, 4, 4)]),
        ([["n", 2], ["n", 3]], 20, [(4, 2), (4, 3)]),
        ([["n"], ["m", 7]], 8, None),
        ([["n", 4], ["m", 4]], 8, None),
        ([[1, 3, 8, 8], [1, "n"]], 200, [(1, 3, 8, 8), (1, 8)]),
        ([["a", "a", "b"]], 7, [(1, 1, 7)]),
    ],
)
def test_sizes_that_fit_in_one_way(
    inputs: list[Axes], elements: int, expected: list[tuple[int, ...]] | None
) -> None:
    assert sized_inputs(model(*inputs).graph, elements) == expected


@pytest.mark.parametrize(
    ("inputs", "elements", "text"),
    [
        ([["b", "f"]], 6, r"the 6 inputs of the property leave the dynamic axes of x0 \[b, f\] open: "
         r"\[1, 6\] or \[2, 3\]; declare the shape in a property of VNN-LIB 2\.0, or fix it in the model"),
        ([["b", "f"]], 5, r"open: \[1, 5\] or \[5, 1\]"),
        ([[None, None]], 4, r"x0 \[\?, \?\] open: \[1, 4\] or \[2, 2\]"),
        ([["n"], ["m"]], 4, r"open: \[1\] and \[3\] or \[2\] and \[2\]"),
        ([["b", 5]], 7, r"no sizes of the dynamic axes of x0 \[b, 5\] make the 7 inputs of the property"),
        ([["n", "n"]], 8, "no sizes of the dynamic axes"),
        ([["n", 4]], 3, "no sizes of the dynamic axes"),
        ([[f"a{k}" for k in range(40)]], 8, "leave the 40 dynamic axes of the model open"),
        ([[f"a{k}", 2] for k in range(5)], 150_001, "leave the 5 dynamic axes of the model open"),
    ],
)  # fmt: skip
def test_none_or_several_ways_are_an_error(inputs: list[Axes], elements: int, text: str) -> None:
    with pytest.raises(ModelError, match=text):
        sized_inputs(model(*inputs).graph, elements)


def test_query_has_the_sizes_of_its_property() -> None:
    text = "".join(
        f"(declare-const X_{k} Real)\n(assert (>= X_{k} 0))\n(assert (<= X_{k} 1))\n" for k in range(6)
    )
    prop = parse_property(f"{text}(declare-const Y_0 Real)\n(assert (>= Y_0 6))\n")
    data = model(["n", 3]).SerializeToString()
    found = read_model(data, elements=prop.inputs)
    query = build_query(found, prop)
    assert query.layout.inputs[0].shape == (2, 3)
    assert query.source.replay(query.clauses[0].region.upper).valid
    assert read_layout(data, 6)[1].inputs[0].shape == (2, 3)
    assert read_model(data).layout.inputs[0].shape == (1, 3)
