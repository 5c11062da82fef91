# SPDX-License-Identifier: Apache-2.0
"""Torch modules as graphs that keep the modules' own tensors.

`torch.export` writes a module down as a list of calls of torch's operators; here one small reader per family
turns a call into nodes. Parameters are not copied: what an optimiser writes to them the graph sees, and
gradients of bounds reach them.
"""

from vnnverify.importer.modules.reading import graph_of

__all__ = ["graph_of"]
