# SPDX-License-Identifier: Apache-2.0
"""Casts round, cut, wrap and saturate as onnxruntime does it; where that is left open, nothing is known."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from chains import chain, run
from onnx import TensorProto, helper

from vnnverify.domains import interval
from vnnverify.errors import UnsupportedModelError
from vnnverify.importer import read_model

FLOATS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
BYTES = ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")
WHOLE = ("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "BOOL", "INT4", "UINT4")
NUMBERS = np.array(
    [0, 0.4, 0.5, 1, 1.5, 2.49, 3.5, 7.7, 8, 15.5, 100.3, 127.5, 128, 200, 255.5, 260, 449, 513]
)
EDGES = np.array([32767.5, 32768, 65503, 65519, 65536, 70000, 1e-7, 3e-8, 2.0**-14, 2**20 + 3, 2**31 - 128])
POINTS = np.concatenate([NUMBERS, -NUMBERS, EDGES, -EDGES]).astype(np.float32)


def cast(source: str, target: str, **more: int) -> onnx.ModelProto:
    """float32 to the source, to the target, and to a type that tells what came out."""
    exact = TensorProto.FLOAT if target in (*FLOATS, *BYTES) else TensorProto.DOUBLE
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=getattr(TensorProto, source)),
        helper.make_node("Cast", ["a"], ["b"], to=getattr(TensorProto, target), **more),
        helper.make_node("Cast", ["b"], ["y"], to=exact),
    ]
    return chain(nodes, size=len(POINTS), to=exact)


def agreeing(model: onnx.ModelProto, points: np.ndarray, *, most_unknown: int = 0) -> None:
    """The graph gives what onnxruntime gives, or tells nothing, at `most_unknown` points at most."""
    graph = read_model(model.SerializeToString()).graph
    found = graph(torch.from_numpy(points).double()).numpy()
    expected = run(model, points)
    known = ~np.isnan(found)
    assert int((~known).sum()) <= most_unknown
    np.testing.assert_array_equal(found[known], expected[known])


@pytest.mark.parametrize("source", BYTES)
def test_truth_of_floats_of_eight_bits_is_refused(source: str) -> None:
    """onnxruntime takes a negative zero for true, except of the types that have none."""
    model = cast(source, "BOOL")
    found = run(model, np.full((1, len(POINTS)), -1e-9, np.float32))
    assert found.all() == (not source.endswith("FNUZ"))
    with pytest.raises(UnsupportedModelError, match="the truth value of float8"):
        read_model(model.SerializeToString())


@pytest.mark.parametrize("target", WHOLE)
@pytest.mark.parametrize("source", FLOATS)
def test_floats_to_whole_numbers(source: str, target: str) -> None:
    if source.endswith("FLOAT16") and target.endswith("INT8"):
        with pytest.raises(UnsupportedModelError, match=r"a cast to b?float16 and then at once to u?int8"):
            read_model(cast(source, target).SerializeToString())
        return
    beyond = {"FLOAT16": 8, "BFLOAT16": 2}  # what the source makes infinite, or 2^31
    unknown = 0 if target == "BOOL" else beyond.get(source, 0)
    agreeing(cast(source, target), POINTS[None], most_unknown=max(unknown, 8 * (source == "FLOAT16")))


@pytest.mark.parametrize("target", (*FLOATS[2:], *BYTES))
@pytest.mark.parametrize("source", FLOATS[:2])
def test_floats_to_shorter_floats(source: str, target: str) -> None:
    beyond = int((np.abs(POINTS) >= 65520).sum()) if target == "FLOAT16" else 0
    agreeing(cast(source, target), POINTS[None], most_unknown=beyond)


@pytest.mark.parametrize("target", BYTES)
def test_without_saturation_nothing_is_known_of_what_exceeds_the_type(target: str) -> None:
    largest = 57344 if "E5M2" in target else 240 if target.endswith("FNUZ") else 448
    beyond = int((np.abs(POINTS) > largest).sum())
    agreeing(cast("FLOAT", target, saturate=0), POINTS[None], most_unknown=beyond)


@pytest.mark.parametrize("target", WHOLE)
@pytest.mark.parametrize("source", ("INT64", "INT32", "UINT8", "INT8", "BOOL", "INT4"))
def test_between_whole_types(source: str, target: str) -> None:
    points = POINTS[np.abs(POINTS) < 2**24][None]
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=getattr(TensorProto, source)),
        helper.make_node("Cast", ["a"], ["b"], to=getattr(TensorProto, target)),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.DOUBLE),
    ]
    agreeing(chain(nodes, size=points.shape[1], to=TensorProto.DOUBLE), points)


@pytest.mark.parametrize("between", ("INT64", "INT32", "UINT32"))
@pytest.mark.parametrize("target", ("INT8", "UINT16", "INT32", "UINT32"))
def test_cut_twice(between: str, target: str) -> None:
    """Where onnxruntime leaves out the first of two casts, what differs without it is unknown."""
    points = np.array([[3e9, 2.0**33 + 4096, -(2.0**35) - 8192, -3.7, 70003.5, 255]], dtype=np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=getattr(TensorProto, between)),
        helper.make_node("Cast", ["a"], ["b"], to=getattr(TensorProto, target)),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.DOUBLE),
    ]
    agreeing(chain(nodes, to=TensorProto.DOUBLE), points, most_unknown=4)


@pytest.mark.parametrize("target", ("FLOAT16", "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2"))
def test_whole_numbers_to_shorter_floats(target: str) -> None:
    points = np.array([[0, 1, -3, 17, 255, 257, 2049, 2051, -40001]], dtype=np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.INT32),
        helper.make_node("Cast", ["a"], ["b"], to=getattr(TensorProto, target)),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    agreeing(chain(nodes, size=9), points)


@pytest.mark.parametrize("target", (*FLOATS, *BYTES, *WHOLE))
def test_bounds_enclose(target: str) -> None:
    """Over boxes of many sizes, also around the ends of the types."""
    model = cast("FLOAT", target)
    graph = read_model(model.SerializeToString()).graph
    generator = np.random.default_rng(3)
    radius = (10.0 ** generator.uniform(-4, 2.5, (4, len(POINTS)))).astype(np.float32)
    lower, upper = (torch.from_numpy(POINTS + sign * radius).double() for sign in (-1, 1))
    low, high = interval.bounds_of_values(graph, lower, upper)[graph.outputs[0]]
    for share in generator.uniform(0, 1, (8, 4, len(POINTS))):
        points = (POINTS - radius + 2 * radius * share).astype(np.float32)
        points = np.clip(points, POINTS - radius, POINTS + radius)
        expected = torch.from_numpy(run(model, points))
        proved = torch.isfinite(low) & torch.isfinite(high)
        assert bool(((low <= expected) & (expected <= high))[proved].all())


def test_a_constant_like_a_variable_is_one() -> None:
    """A third power of negative numbers, whose exponent is cast like the input."""
    nodes = [helper.make_node("CastLike", ["p", "x"], ["e"]), helper.make_node("Pow", ["x", "e"], ["y"])]
    points = np.array([[-2.0, -0.5, 0, 1, 3, -1]], dtype=np.float32)
    model = chain(nodes, {"p": np.array(3)})
    agreeing(model, points)
    kinds = [node.op.kind for node in read_model(model.SerializeToString()).graph.nodes]
    assert kinds == ["Power"]


def test_like_another_type() -> None:
    nodes = [
        helper.make_node("CastLike", ["x", "t"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    points = np.array([[-2.5, 1.001, 1.37, 300, 5, -1]], dtype=np.float32)
    for kind in (TensorProto.BFLOAT16, TensorProto.UINT8, TensorProto.FLOAT8E5M2):
        agreeing(chain(nodes, {"t": helper.make_tensor("t", kind, [1], [1.0])}), points)


def test_what_onnxruntime_cannot_cast_to_is_refused() -> None:
    model = cast("FLOAT", "FLOAT4E2M1")
    model.opset_import[0].version = 23
    with pytest.raises(UnsupportedModelError, match="a cast to float4"):
        read_model(model.SerializeToString())


@pytest.mark.parametrize(
    ("op", "kind", "points"),
    [
        ("Add", "UINT8", [[200, 100, 3, 255, 0, 128]]),
        ("Mul", "INT8", [[100, -100, 3, -128, 0, 17]]),
        ("Sub", "UINT16", [[1, 5, 65535, 3, 0, 7]]),
        ("Add", "INT32", [[2**30, -(2**31), 2**31 - 1, 5, 0, 2**30 + 9]]),
        ("Mul", "INT32", [[65536, 65537, -65536, 3, 46341, 0]]),
        ("Mul", "UINT32", [[65536, 65537, 3, 0, 2**31, 7]]),
        ("Neg", "INT8", [[-128, 127, 0, 5, -5, 1]]),
        ("Abs", "INT8", [[-128, 127, 0, 5, -5, 1]]),
    ],
)
def test_arithmetic_wraps(op: str, kind: str, points: list[list[int]]) -> None:
    """With itself shifted by three, and of whole numbers as they come in."""
    number = getattr(TensorProto, kind)
    double = helper.make_node("Cast", ["z"], ["y"], to=TensorProto.DOUBLE)
    one = op in ("Neg", "Abs")
    inputs = ["x"] if one else ["x", "k"]
    constants = {} if one else {"k": np.array(100, onnx.helper.tensor_dtype_to_np_dtype(number))}
    given = {"kind": number, "to": TensorProto.DOUBLE, "opset": 17}
    agreeing(chain([helper.make_node(op, inputs, ["z"]), double], constants, **given), np.array(points))
    if not one:
        agreeing(chain([helper.make_node(op, ["x", "x"], ["z"]), double], **given), np.array(points))


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceProd", "ReduceL1"])
def test_reductions_that_overflow_are_unknown(op: str) -> None:
    nodes = [
        helper.make_node(op, ["x"], ["z"]),
        helper.make_node("Cast", ["z"], ["y"], to=TensorProto.DOUBLE),
    ]
    points = np.array([[2**30, 2**30, 2**30, 5, 2, 2], [1, 2, 3, 4, 5, 6]])
    agreeing(chain(nodes, kind=TensorProto.INT32, to=TensorProto.DOUBLE), points, most_unknown=1)


@pytest.mark.parametrize("exponent", [2, 3, 2.0])
def test_powers_of_whole_numbers_that_overflow_are_unknown(exponent: float) -> None:
    nodes = [
        helper.make_node("Pow", ["x", "e"], ["z"]),
        helper.make_node("Cast", ["z"], ["y"], to=TensorProto.DOUBLE),
    ]
    kind = np.float32 if isinstance(exponent, float) else np.int32
    model = chain(nodes, {"e": np.array(exponent, kind)}, kind=TensorProto.INT32, to=TensorProto.DOUBLE)
    agreeing(model, np.array([[-3, 0, 7, 1000, 46340, 70000]]), most_unknown=2)


@pytest.mark.parametrize("how", ["constant", "cast", "like"])
@pytest.mark.parametrize("base", ["FLOAT", "DOUBLE", "INT32", "INT64"])
def test_powers(base: str, how: str) -> None:
    """Of negative numbers too, by exponents of any type."""
    points = np.array([[-2.0, -0.5, 0, 1, 3, -3]], dtype=np.float32)
    start = helper.make_node("Cast", ["x"], ["a"], to=getattr(TensorProto, base))
    end = helper.make_node("Cast", ["p"], ["y"], to=TensorProto.DOUBLE)
    cast = {
        "constant": helper.make_node("Identity", ["e"], ["f"]),
        "cast": helper.make_node("Cast", ["e"], ["f"], to=TensorProto.FLOAT),
        "like": helper.make_node("CastLike", ["e", "a"], ["f"]),
    }
    for exponent in (0, 1, 2, 3, 5):
        nodes = [start, cast[how], helper.make_node("Pow", ["a", "f"], ["p"]), end]
        agreeing(chain(nodes, {"e": np.array(exponent)}, to=TensorProto.DOUBLE, opset=17), points)
