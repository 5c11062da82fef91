# SPDX-License-Identifier: Apache-2.0
"""What an operator cannot make sense of, or cannot do, is one line with its node, and why."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from node_cases.case import Case, case, ints, number, weights

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer import Model, read_model

WRONG, UNKNOWN = ModelError, UnsupportedModelError
IMAGE, BLOCK = (1, 2, 4, 4), (2, 3)
BN = [weights(3), weights(3), weights(3), np.array([1, -1, 1], np.float32)]

REFUSED: list[tuple[Case, type[ModelError], str]] = [
    (case("Add", BLOCK, weights(4)), WRONG, r"shapes \(2, 3\), \(4,\) do not fit each other"),
    (case("Mul", BLOCK, (4,)), WRONG, "do not fit each other"),
    (case("Div", BLOCK, number(0)), WRONG, "divides by a constant zero"),
    (case("Mod", BLOCK, number(0), fmod=1), WRONG, "divides by a constant zero"),
    (case("Pow", number(-2), BLOCK), UNKNOWN, "a power of a constant that is not positive"),
    (case("BatchNormalization", BLOCK, *BN), WRONG, "a variance that is not positive"),
    (case("BatchNormalization", BLOCK, *BN, outputs=5, opset=13), WRONG, "training mode"),
    (case("BatchNormalization", BLOCK, *BN[:3], (3,)), UNKNOWN, "a batch normalisation parameter computed"),
    (case("Dropout", BLOCK, None, np.array(True)), WRONG, "training mode; export the model for inference"),
    (case("Conv", IMAGE, (2, 2, 3, 3)), UNKNOWN, "the kernel computed from the network's input"),
    (case("Conv", IMAGE, weights(2, 3, 3, 3)), WRONG, "cannot be applied to"),
    (case("Conv", IMAGE, weights(2, 2, 3, 3), strides=[0, 1]), WRONG, "cannot be applied to"),
    (case("ConvTranspose", IMAGE, weights(3, 2, 3, 3)), WRONG, "cannot be applied to"),
    (case("Gemm", BLOCK, weights(4, 3)), WRONG, "cannot be applied to"),
    (case("MatMul", BLOCK, weights(4, 3)), WRONG, "cannot be applied to"),
    (case("Concat", BLOCK, (2, 2), axis=0), WRONG, "cannot be applied to"),
    (case("Concat", BLOCK, BLOCK, axis=2), WRONG, "axis 2 is out of range for rank 2"),
    (case("Reshape", BLOCK, ints(4, 2)), WRONG, r"cannot reshape \(2, 3\) to \(4, 2\)"),
    (case("Transpose", BLOCK, perm=[0, 2]), WRONG, "cannot be applied to"),
    (case("Unsqueeze", BLOCK, ints(3)), WRONG, "axis 3 is out of range for rank 3"),
    (case("Squeeze", BLOCK, ints(0)), WRONG, "cannot reshape"),
    (case("Flatten", BLOCK, axis=5), WRONG, "axis 5 is out of range for rank 2"),
    (case("Slice", BLOCK, ints(0), (1,)), UNKNOWN, "`ends` computed from the network's input"),
    (case("Split", BLOCK, ints(2, 2), axis=1, outputs=2), WRONG, "cannot split 3 elements into"),
    (case("Gather", BLOCK, ints(5), axis=1), WRONG, "cannot be applied to"),
    (case("GatherND", BLOCK, ints(4).reshape(1, 1)), UNKNOWN, "cannot be evaluated"),
    (case("Pad", BLOCK, ints(1, 1)), WRONG, "has 2 widths for 2 axes"),
    (case("Pad", BLOCK, ints(-1, 0, 0, 0), mode="edge"), UNKNOWN, "negative padding in mode 'edge'"),
    (case("Expand", BLOCK, ints(2, 4)), WRONG, "do not fit each other"),
    (case("Tile", BLOCK, ints(1 << 20, 1 << 20)), WRONG, "more than 268,435,456; refused"),
    (case("Resize", IMAGE), WRONG, "gives neither scales nor sizes"),
    (
        case(
            "Resize",
            IMAGE,
            None,
            None,
            ints(8, 8),
            axes=[2, 3],
            opset=18,
            mode="linear",
            keep_aspect_ratio_policy="not_larger",
        ),
        UNKNOWN,
        "interpolation that keeps the aspect ratio",
    ),
    (case("MaxPool", IMAGE, kernel_shape=[2, 2], pads=[2, 0, 0, 0]), UNKNOWN, "in the padding alone"),
    (case("AveragePool", IMAGE, kernel_shape=[2, 2, 2]), WRONG, "cannot be applied to"),
    (case("LpPool", IMAGE, kernel_shape=[5, 5]), UNKNOWN, "padding as onnxruntime reads these attributes"),
    (case("ReduceSum", BLOCK, ints(2)), WRONG, "axis 2 is out of range for rank 2"),
    (case("ReduceProd", (1, 300), axes=[1]), UNKNOWN, "more than 256 elements"),
    (case("TopK", BLOCK, ints(4), outputs=2), WRONG, "asks for 4 of 3 elements"),
    (case("TopK", BLOCK, ints(2), outputs=2, sorted=0), UNKNOWN, "left to the runtime"),
    (case("Softmax", BLOCK, axis=2), WRONG, "axis 2 is out of range for rank 2"),
    (
        case("GroupNormalization", IMAGE, weights(2), weights(2), num_groups=3, opset=21),
        WRONG,
        "cannot reshape",
    ),
    (case("Einsum", BLOCK, weights(4, 3), equation="ij,jk->ik"), WRONG, "'j' stands for 3 and for 4"),
    (case("Einsum", BLOCK, equation="ij,jk->ik"), WRONG, "names 2 operands, has 1"),
    (case("Einsum", (2, 3), equation="ii->i"), WRONG, r"shape \(2, 3\) has no diagonal 'ii'"),
    (case("GridSample", IMAGE, (1, 2, 2, 2), opset=20), UNKNOWN, "the grid computed from"),
    (case("GridSample", IMAGE, weights(1, 2, 2, 3), opset=20), WRONG, "does not fit an input of shape"),
    (case("AffineGrid", (1, 2, 3), ints(1, 1, 3), opset=20), WRONG, "of an image .4. or of voxels .5."),
    (case("Col2Im", (1, 8, 5), ints(3, 4), ints(2, 2), opset=18), WRONG, "do not make an image of"),
    (case("DFT", (2, 4, 3), opset=17, axis=1), WRONG, "cannot transform axis 1"),
    (case("STFT", (1, 8, 2), np.array(2), weights(4), opset=17), UNKNOWN, "a signal of complex numbers"),
    (case("STFT", (1, 8, 1), np.array(2), weights(9), opset=17), WRONG, "cannot cut frames of 9"),
    (
        case("LSTM", (2, 1, 2), weights(1, 12, 2), weights(1, 9, 3), hidden_size=3),
        WRONG,
        "do not fit 4 gates",
    ),
    (case("Cast", BLOCK, to=8), UNKNOWN, "a cast to text"),
    (
        case("QuantizeLinear", BLOCK, weights(2, 3), np.zeros((2, 3), np.int8), opset=21),
        WRONG,
        "each block without telling the size",
    ),
]


def read(one: Case) -> Model:
    """With outputs of any length where onnx refuses to infer their shape."""
    proto = onnx.load_from_string(one.data)
    for output in proto.graph.output:
        if not output.type.tensor_type.HasField("shape"):
            output.type.tensor_type.shape.dim.add(dim_param="n")
    return read_model(proto.SerializeToString())


@pytest.mark.parametrize(("one", "kind", "text"), REFUSED, ids=lambda v: v.id if isinstance(v, Case) else "")
def test_refused_in_one_line(one: Case, kind: type[ModelError], text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        read(one)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in message
    assert "the_node" in message or "'out0' has" in message
    assert kind is WRONG or "; a backend that takes black boxes may" in message
