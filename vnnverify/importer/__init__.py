# SPDX-License-Identifier: Apache-2.0
"""ONNX to `Graph`."""

from vnnverify.importer.builder import NodeReader, NodeView, Operand
from vnnverify.importer.model import Model, load_model, read_model

__all__ = ["Model", "NodeReader", "NodeView", "Operand", "load_model", "read_model"]
