# SPDX-License-Identifier: Apache-2.0
"""The first node of a model whose value is not what it should be."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from vnnverify.deadline import Deadline
from vnnverify.guard.comparison import Comparison
from vnnverify.importer.extraction import Parts
from vnnverify.importer.sessions import judges_of
from vnnverify.query import ModelFile

__all__ = ["Blamed", "first_differing_node"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Blamed:
    """A node of the ONNX model; what the graph makes of it and what the judges do, at one element."""

    name: str
    op_type: str
    ours: float
    theirs: tuple[float, ...]


def first_differing_node(model: ModelFile, x: Tensor, deadline: Deadline) -> Blamed | None:
    """The node at which graph and judges begin to disagree at the input x (n,) of the model.

    Found by bisection over models that end at a node; None where no such model shows it, or none was found by
    the deadline.
    """
    try:
        parts = Parts(model.data)
        sizes = [prod(spec.shape) for spec in model.layout.inputs]
        given = dict(zip((spec.name for spec in model.layout.inputs), torch.split(x, sizes), strict=True))
        for spec in model.layout.outputs:
            order = sorted(parts.before([spec.name]))
            found = _at_node(parts, order[-1], model, given) if order else None
            if found is not None:
                return _bisected(parts, order, found, model, given, deadline)
    except Exception:  # fence: naming the place is a service, and whatever is odd about the model is met here
        logger.debug("the differing node was not found", exc_info=True)
    return None


def _bisected(
    parts: Parts,
    order: Sequence[int],
    last: Blamed,
    model: ModelFile,
    given: Mapping[str, Tensor],
    deadline: Deadline,
) -> Blamed | None:
    """A node of `order` that differs while the one before it does not, as the last does."""
    good, bad, blamed = -1, len(order) - 1, last
    while bad - good > 1:
        if deadline.expired:
            return None
        middle = (good + bad) // 2
        found = _at_node(parts, order[middle], model, given)
        if found is None:
            good = middle
        else:
            bad, blamed = middle, found
    return blamed


def _at_node(parts: Parts, index: int, model: ModelFile, given: Mapping[str, Tensor]) -> Blamed | None:
    """What differs at the outputs of a node of the model cut there."""
    for key in parts.made_by(index):
        try:
            cut = model.reread(parts.model(parts.before([key]), [key]))
            point = torch.cat([given[spec.name] for spec in cut.layout.inputs])
            told, _ = Comparison(cut.graph, cut.layout, [cut]).at(point[None], judges_of([cut]))
        except Exception:  # a part that cannot be read or run is no evidence
            logger.debug("the part up to node %d is no model of its own", index, exc_info=True)
            continue
        if told is not None:
            return Blamed(*parts.node(index), told.ours, told.theirs)
    return None
