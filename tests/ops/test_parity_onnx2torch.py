# SPDX-License-Identifier: Apache-2.0
"""Every operator computes what onnx2torch computes, where that converts it and itself agrees with ONNX."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from node_cases import Case

DIFFERS_FROM_ONNXRUNTIME = {
    ("ConvTranspose", "output_shape"): "the attribute is ignored",
    ("LayerNormalization", "further outputs"): "only the first is given",
    ("Pad", "value"): "the attribute is ignored",
    ("CumSum", ""): "the axis is ignored",
    (
        "Resize",
        "mode=linear coordinate_transformation_mode=asymmetric",
    ): "linear interpolation knows other modes only",
    ("Resize", "exclude_outside"): "the attribute is ignored",
    ("Resize", "old"): "the attributes of later versions are taken for granted",
    ("Slice", "unlike numpy"): "ends are clamped as in numpy",
    ("TopK", "sorted"): "equal elements in any order",
}
"""By operator and attribute, or all attributes with their values, or the note. The other module holds these
cases against onnxruntime, which decides."""


def through_onnx2torch(case: Case, x: torch.Tensor) -> np.ndarray:
    """Outputs (count, m) of the converted module; skips what it refuses."""
    import onnx2torch

    try:
        module = onnx2torch.convert(onnx.load_model_from_string(case.data)).eval()
    except Exception as error:
        pytest.skip(f"onnx2torch does not convert it: {str(error).splitlines()[0][:80]}")
    shapes = [i for i in case.inputs if isinstance(i, tuple)]
    sizes = [int(np.prod(s)) for s in shapes]
    rows = []
    for point in x.float():
        parts = [p.reshape(s) for p, s in zip(torch.split(point, sizes), shapes, strict=True)]
        try:
            found = module(*parts)
        except Exception as error:
            pytest.skip(f"onnx2torch cannot run it: {str(error).splitlines()[0][:80]}")
        values = found if isinstance(found, list | tuple) else [found]
        rows.append(np.concatenate([v.detach().numpy().reshape(-1) for v in values]))
    return np.stack(rows)


def test_values_agree_with_onnx2torch(case: Case) -> None:
    x = case.points(2)
    theirs = through_onnx2torch(case, x)
    ours = case.model.graph(x).numpy()
    given = case.attributes
    whole = " ".join(f"{name}={value}" for name, value in given.items())
    for key in (*given, whole, case.note or whole):
        if (case.op, key) in DIFFERS_FROM_ONNXRUNTIME:
            assert ours.shape != theirs.shape or not np.allclose(ours, theirs)
            return
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
