# SPDX-License-Identifier: Apache-2.0
"""Inequalities over several neurons in a backward pass (see `relaxation.joint`)."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.backward.rows import Rows
from vnnverify.bounds.relaxation.joint import JointRows
from vnnverify.bounds.state import State
from vnnverify.ir import Node, flat
from vnnverify.numerics import gamma

__all__ = ["add_joint_rows"]


def add_joint_rows(
    joint: JointRows, coefficients: Tensor, node: Node, rows: Rows, state: State
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows (R, *shape) over a node's values with multiples of its inequalities added.

    Returns:
        what is left of them over the values, and over the arguments (R, *shape) each; what is added to their
        constants; and what roundings cost, the sum with other rows over the arguments included (R,).
    """
    whole = flat(coefficients)
    box = rows.boxes(whole.device)
    scale = joint.multipliers(whole, box)[:, :, None]  # (R, K, 1)
    a, b = scale * joint.a[box], scale * joint.b[box]
    c = scale[:, :, 0] * torch.where(torch.isfinite(joint.c), joint.c, 0.0)[box]
    place = joint.index.flatten()

    def spread(terms: Tensor) -> Tensor:
        """The sums (R, N) of all inequalities' terms (R, K, p) for each neuron."""
        return torch.zeros_like(whole).index_add(1, place, terms.flatten(1))

    left, over = whole + spread(b), spread(a)
    y, z = (flat(state.magnitude(v)).amax(dim=0) for v in (node.output, node.inputs[0]))
    shared = int(torch.bincount(place).amax()) + 3
    dtype = whole.dtype
    loss = gamma(shared, dtype) * ((whole.abs() + spread(b.abs())) @ y + 2 * spread(a.abs()) @ z)
    loss = (loss + gamma(place.numel(), dtype) * c.abs().sum(dim=1)) * (1 + gamma(whole.shape[1], dtype))
    shape = coefficients.shape
    return left.reshape(shape), over.reshape(shape), -c.sum(dim=1), loss
