# SPDX-License-Identifier: Apache-2.0
"""Rows over single elements of a value, from which backward passes bound them."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.backward import patches
from vnnverify.bounds.backward.rows import Linear, Rows
from vnnverify.bounds.backward.walk import lower_bounds
from vnnverify.bounds.state import State
from vnnverify.ir import Graph, Value

__all__ = ["Ends", "unit_bounds"]

Ends = tuple[Tensor, Tensor, Tensor]
"""Box, element and sign (R,): sign 1 is for an element's lower end, −1 for its upper end."""


def unit_bounds(graph: Graph, value: Value, state: State, rows: Ends) -> Linear:
    """Lower bounds of sign·z_element over each row's box, for rows (box, element, sign)."""
    box, element, sign = rows
    count = box.numel()
    start: Tensor | patches.Patches
    if patches.is_image(value.shape):
        start = patches.units(value.shape, box, element, sign)
    else:
        unit = sign.new_zeros(count, value.size)
        unit[torch.arange(count, device=box.device), element] = sign
        start = unit.reshape(-1, *value.shape)
    each = Rows(count, per_box=count) if state.batch == 1 else Rows(count, box=box)
    return lower_bounds(graph, state, {value: start}, each, sign.new_zeros(count), ends_only=True)
