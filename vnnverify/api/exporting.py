# SPDX-License-Identifier: Apache-2.0
"""A torch module as ONNX bytes, held against the module itself."""

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

__all__ = ["export"]

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
    _compare(data, inputs, expected, type(module).__name__)
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
            "the package onnxscript lets torch export it in another way"
        ) from first
    try:
        with (
            warnings.catch_warnings(),
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            return _call_exporter(module, x, dynamo=True)
    except Exception as error:
        why = _line(first.__cause__ or first)
        raise ModelError(
            f"{type(module).__name__} cannot be exported, neither by torch.export nor by tracing ({why})"
        ) from error


def _call_exporter(module: torch.nn.Module, x: torch.Tensor, *, dynamo: bool) -> bytes:
    import torch

    buffer = io.BytesIO()
    exporter: Any = torch.onnx.export  # its annotations leave out that it writes to a buffer too
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        exporter(
            module, (x,), buffer, input_names=["x"], output_names=["y"], dynamo=dynamo, external_data=False
        )
    finally:
        logger.setLevel(level)
    return buffer.getvalue()


def _compare(data: bytes, inputs: list[Any], expected: list[Any], name: str) -> None:
    import numpy as np
    import onnxruntime

    from vnnverify.numerics import AGREEMENT

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0].name
    for x, y in zip(inputs, expected, strict=True):
        wanted = y.detach().cpu().double().numpy()
        found = np.asarray(session.run(None, {feed: x.cpu().numpy()})[0], dtype=np.float64)
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        if wanted.shape != found.shape or not np.abs(wanted - found).max(initial=0.0) <= AGREEMENT * scale:
            raise ModelError(
                f"{name}, exported, computes something else than the module; "
                "does its forward() depend on data or on randomness?"
            )


def _line(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 240 else f"{text[:240]}…"
