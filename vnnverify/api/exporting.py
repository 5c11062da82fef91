# SPDX-License-Identifier: Apache-2.0
"""A torch module, or an exported program, as ONNX bytes, held against the module itself."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vnnverify.errors import ModelError, OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["export", "export_program"]

POINTS = 3
"""Random inputs at which the exported model must agree with the module."""


def export(module: torch.nn.Module, input_shape: Sequence[int]) -> bytes:
    """The module, in evaluation mode, as an ONNX model with one input of this shape.

    The module is left as it was. The model is run in onnxruntime at a few inputs and compared with the
    module, since an exporter that traces follows one path through the module's code.

    Args:
        input_shape: with the batch axis, if the module wants one.

    Raises:
        ModelError: it cannot be exported, or the model computes something else.
        OptionError: the module does not accept inputs of that shape.
    """
    import torch

    parameter = next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    dtype = torch.float32 if parameter is None else parameter.dtype
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(POINTS, *input_shape, generator=generator, dtype=torch.float64)
    inputs = [point.to(device, dtype) for point in points]
    with _evaluating(module), torch.no_grad():
        try:
            expected = [module(x) for x in inputs]
        except Exception as error:
            raise OptionError(
                f"{type(module).__name__} does not accept an input of shape {tuple(input_shape)} "
                f"({_line(error)}); give the property's input, or input_shape, with the batch axis it wants"
            ) from error
        if not all(isinstance(y, torch.Tensor) for y in expected):
            raise ModelError(
                f"{type(module).__name__} does not return a single tensor; wrap it in one that does"
            )
        data = _exported(module, inputs[0])
    _compare(data, [[x] for x in inputs], [[y] for y in expected], type(module).__name__)
    return data


def export_program(program: torch.export.ExportedProgram) -> bytes:
    """What `torch.export.export` made, as an ONNX model. It is compared with the program as in `export`, at
    its example inputs and, where those are floats, at random ones.

    Raises:
        ModelError: it cannot be exported, or the model computes something else.
        OptionError: the program holds no example inputs.
    """
    import torch
    from torch.utils import _pytree as pytree

    name = "the exported program"
    if program.example_inputs is None:
        raise OptionError(f"{name} holds no example inputs; export it with them, or give it as an ONNX file")
    if find_spec("onnxscript") is None:
        raise ModelError(
            f"{name} cannot become an ONNX model without the package onnxscript; "
            "pip install 'vnnverify[export]'"
        )
    flat, structure = pytree.tree_flatten(program.example_inputs)
    examples = [x for x in flat if isinstance(x, torch.Tensor)]
    if len(examples) < len(flat):
        raise ModelError(f"{name} takes more than tensors; wrap the module in one that takes only those")
    generator = torch.Generator().manual_seed(0)

    def varied(x: torch.Tensor) -> torch.Tensor:
        """Random numbers in place of floats."""
        if not x.is_floating_point():
            return x
        return torch.rand(x.shape, generator=generator, dtype=torch.float64).to(x.device, x.dtype)

    points = [examples, *([varied(x) for x in examples] for _ in range(POINTS))]
    module = program.module()
    try:
        with torch.no_grad():
            given = [pytree.tree_unflatten(point, structure) for point in points]
            expected = [pytree.tree_leaves(module(*args, **kwargs)) for args, kwargs in given]
        buffer = io.BytesIO()
        exporter: Any = torch.onnx.export
        with _silence():
            exporter(program, (), buffer, dynamo=True, external_data=False, verbose=False)
    except Exception as error:  # whatever the exporter, or the module, may raise
        raise ModelError(f"{name} cannot become an ONNX model ({_line(error)})") from error
    if not all(isinstance(y, torch.Tensor) for found in expected for y in found):
        raise ModelError(f"{name} does not return tensors only; wrap the module in one that does")
    data = buffer.getvalue()
    _compare(data, points, expected, name)
    return data


@contextlib.contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode for every part of the module, and afterwards each part's own mode."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _exported(module: torch.nn.Module, x: torch.Tensor) -> bytes:
    """By tracing, which takes milliseconds; where tracing warns or fails, by torch.export if onnxscript is
    there."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            return _call_exporter(module, x, dynamo=False)
    except Exception as error:  # whatever the exporter, or the module, may raise
        first = error
    if find_spec("onnxscript") is None:
        raise ModelError(
            f"{type(module).__name__} cannot be exported by tracing ({_line(first.__cause__ or first)}); "
            "torch has another way with the package onnxscript: pip install 'vnnverify[export]'"
        ) from first
    try:
        with _silence():
            return _call_exporter(module, x, dynamo=True)
    except Exception as error:
        why = _line(first.__cause__ or first)
        raise ModelError(
            f"{type(module).__name__} cannot be exported, neither by torch.export nor by tracing ({why})"
        ) from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing of what the exporter says about its progress."""
    with (
        warnings.catch_warnings(),
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        yield


def _call_exporter(module: torch.nn.Module, x: torch.Tensor, *, dynamo: bool) -> bytes:
    import torch

    buffer = io.BytesIO()
    exporter: Any = torch.onnx.export  # its annotations leave out that it writes to a buffer too
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exporter(
                module,
                (x,),
                buffer,
                input_names=["x"],
                output_names=["y"],
                dynamo=dynamo,
                external_data=False,
            )
    finally:
        logger.setLevel(level)
    return buffer.getvalue()


def _compare(data: bytes, inputs: list[Any], expected: list[Any], name: str) -> None:
    """That the model gives the expected tensors at each list of inputs.

    Raises:
        ModelError: it does not.
    """
    import numpy as np
    import onnxruntime

    from vnnverify.numerics import AGREEMENT

    def agree(result: Any, tensor: Any) -> bool:
        found = np.asarray(result, dtype=np.float64)
        y = tensor.detach().cpu().double().numpy()
        scale = max(1.0, float(np.abs(y).max(initial=0.0)))
        return y.shape == found.shape and bool(np.abs(y - found).max(initial=0.0) <= AGREEMENT * scale)

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    for given, wanted in zip(inputs, expected, strict=True):
        arrays = [x.detach().cpu().numpy() for x in given]
        results = (
            session.run(None, dict(zip(names, arrays, strict=True))) if len(names) == len(arrays) else []
        )
        if len(results) != len(wanted) or not all(map(agree, results, wanted)):
            raise ModelError(
                f"{name}, exported, computes something else than the module; "
                "does its forward() depend on data or on randomness?"
            )


def _line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 240 else f"{text[:240]}…"
