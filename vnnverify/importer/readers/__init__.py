# SPDX-License-Identifier: Apache-2.0
"""Functions that read ONNX nodes, one file per operator family."""

from __future__ import annotations

from importlib import import_module

__all__ = ["register"]

_FAMILIES = (
    "activation",
    "arithmetic",
    "casts",
    "contributed",
    "cumulative",
    "einsum",
    "finite",
    "logic",
    "ml_features",
    "ml_linear",
    "movement",
    "normalization",
    "order",
    "pointwise",
    "pooling",
    "product",
    "quantization",
    "quantized",
    "quantized_elements",
    "recurrent",
    "reduction",
    "resize",
    "sampling",
    "scatter",
    "shape",
    "signal",
    "unpooling",
)


def register() -> None:
    """Import every family, which enters its readers into the registry."""
    for family in _FAMILIES:
        import_module(f"{__name__}.{family}")
