# SPDX-License-Identifier: Apache-2.0
"""A whole model as one operator without a trait: it can be run, but no domain can bound it."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import onnx
import torch
from torch import Tensor

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer.parsing import one_line
from vnnverify.importer.sessions import OnnxRunner
from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Op, Shape, flat
from vnnverify.numerics import AGREEMENT
from vnnverify.query import Layout

__all__ = ["Opaque", "opaque_graph", "unread"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Opaque(Op):
    """A model as a function (batch, n) -> (batch, m), point by point; NaN where the model does not run."""

    function: Callable[[Tensor], Tensor]  # (n,) -> (m,), casts to the model's own type
    outputs: int
    module: Any = None  # the torch module behind `function`, if there is one
    why: str = ""  # it could not be read

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = torch.cat([flat(part) for part in inputs], dim=1)
        rows = [self.function(point) for point in x]
        return torch.stack(rows).to(x.dtype)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        if self.module is not None:
            self.module.to(device)
        return self

    @property
    def kind(self) -> str:
        return f"Opaque ({self.why})" if self.why else "Opaque"

    def output_shape(self, *shapes: Shape) -> Shape:
        return (self.outputs,)


def unread(graph: Graph) -> str:
    """Why a model is a black box, or nothing if it is none."""
    return next((node.op.why for node in graph.nodes if isinstance(node.op, Opaque)), "")


def opaque_graph(data: bytes, layout: Layout, why: str = "") -> Graph:
    """A graph of one `Opaque` node: through onnx2torch (differentiable) if that converts the model and
    agrees with onnxruntime, else through onnxruntime itself.

    Args:
        why: the model could not be read.

    Raises:
        UnsupportedModelError: onnxruntime cannot run it.
    """
    size = sum(prod(spec.shape) for spec in layout.inputs)
    probe = torch.rand(3, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    try:
        runner = OnnxRunner(data, layout)
        theirs = [torch.tensor(runner(point.tolist()), dtype=torch.float64) for point in probe]
    except Exception as error:  # onnxruntime has an exception type per cause
        either = f"onnxruntime cannot run the model either ({one_line(error)})"
        raise UnsupportedModelError(f"{why}; {either}" if why else either) from error
    outputs = theirs[0].numel()
    function, module = _through_torch(data, layout)
    if function is None or not _agrees(function, probe, theirs):
        logger.info("running the model through onnxruntime: no gradients")
        module = None

        def function(x: Tensor) -> Tensor:
            try:
                values = runner(x.tolist())
            except Exception as error:  # such as an index beyond the end, computed from x
                logger.debug("the model does not run at this point: %s", one_line(error))
                values = (math.nan,) * outputs
            return torch.tensor(values, dtype=x.dtype, device=x.device)

    inputs = tuple(Value(spec.name, spec.shape) for spec in layout.inputs)
    output = Value("model", (outputs,))
    node = Node(Opaque(function, outputs, module, why), inputs, output, "model")
    return Graph(inputs, (output,), (node,))


def _through_torch(data: bytes, layout: Layout) -> tuple[Callable[[Tensor], Tensor] | None, Any]:
    try:
        import onnx2torch

        module = onnx2torch.convert(onnx.load(io.BytesIO(data))).eval()
    except Exception as error:  # onnx2torch raises many types for what it cannot convert
        logger.info("onnx2torch cannot convert the model: %s", error)
        return None, None

    def function(x: Tensor) -> Tensor:
        """In the model's own types, whatever the type of x."""
        parts = torch.split(x, [prod(spec.shape) for spec in layout.inputs])
        pairs = zip(parts, layout.inputs, strict=True)
        found = module(*(p.reshape(spec.shape).to(getattr(torch, spec.dtype)) for p, spec in pairs))
        values = found if isinstance(found, list | tuple) else [found]
        return torch.cat([v.reshape(-1).to(x.dtype) for v in values])

    return function, module


def _agrees(function: Callable[[Tensor], Tensor], probe: Tensor, theirs: list[Tensor]) -> bool:
    try:
        with torch.no_grad():
            ours = [function(point).double() for point in probe]
    except Exception as error:  # a converted module fails in as many ways as torch does
        logger.info("the module made by onnx2torch does not run: %s", error)
        return False
    return all(
        bool(((a - b).abs() <= AGREEMENT * b.abs().max().clamp(min=1e-3)).all())
        for a, b in zip(ours, theirs, strict=True)
    )
