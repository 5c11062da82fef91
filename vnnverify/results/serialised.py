# SPDX-License-Identifier: Apache-2.0
"""A witness as files: one ONNX tensor for each declared tensor."""

from __future__ import annotations

from pathlib import Path

from vnnverify.errors import FileError
from vnnverify.results.report import Witness
from vnnverify.results.vnnlib2 import values_of

__all__ = ["serialise"]


def serialise(witness: Witness, folder: str) -> list[str]:
    """Write `folder`/NAME.pb for every declared tensor, each an ONNX TensorProto; the paths. `real` tensors
    are written as float64, others in their own type.

    Raises:
        FileError: the folder cannot be made or written to.
    """
    import numpy as np
    from onnx import numpy_helper

    target = Path(folder)
    written = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for tensor in witness.tensors:
            kind = "float64" if tensor.type == "real" else tensor.type
            array = np.array(values_of(witness, tensor), dtype=np.float64).astype(kind).reshape(tensor.shape)
            path = target / f"{tensor.name}.pb"
            path.write_bytes(numpy_helper.from_array(array, tensor.name).SerializeToString())
            written.append(str(path))
    except OSError as error:
        raise FileError(
            f"{folder}: cannot be written ({error.strerror}); check the folder and the disk"
        ) from error
    return written
