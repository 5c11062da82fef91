# SPDX-License-Identifier: Apache-2.0
"""Models that state another shape of their output than onnxruntime computes, as some convolutions do."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import prod

import numpy as np

from vnnverify.importer import Model
from vnnverify.ir import Shape
from vnnverify.vnnlib import ParsedProperty
from vnnverify.vnnlib.ast import Compare, Variable, fold, rebuilt

__all__ = ["about_computed"]

logger = logging.getLogger(__name__)


def about_computed(prop: ParsedProperty, model: Model) -> ParsedProperty:
    """The property about the output that is computed, where the text declares the one that the model states.

    Raises:
        SpecError: it speaks of an element that is another one, or none, of what is computed.
    """
    if len(model.layout.outputs) != 1 or prop.outputs == model.graph.output_size:
        return prop
    (spec,) = model.layout.outputs
    if not spec.stated or prop.outputs != prod(spec.stated):
        return prop
    told = f"the model states the shape {list(spec.stated)} of {spec.name}, and computes {list(spec.shape)}"
    for index in sorted(_spoken_of(prop)):
        if not _is_same(index, spec.stated, spec.shape):
            raise prop.error(f"{told}; Y_{index} is not the same element in both; export the model again")
    logger.warning("%s: %s; no other elements are spoken of than are the same in both", prop.source, told)
    return replace(prop, outputs=prod(spec.shape))


def _is_same(index: int, stated: Shape, computed: Shape) -> bool:
    """Whether the element at a flat index has that index in both shapes."""
    place = np.unravel_index(index, stated)
    inside = len(stated) == len(computed) and all(k < n for k, n in zip(place, computed, strict=True))
    return inside and int(np.ravel_multi_index(place, computed)) == index


def _spoken_of(prop: ParsedProperty) -> set[int]:
    """The outputs that some assertion compares."""
    found: set[int] = set()

    def note(leaf: object) -> None:
        if isinstance(leaf, Variable) and leaf.kind == "Y":
            found.add(leaf.index)

    def compared(comparison: Compare) -> Compare:
        for side in (comparison.lhs, comparison.rhs):
            fold(side, note, lambda _, __: None)
        return comparison

    for assertion in prop.assertions:
        rebuilt(assertion, compared)
    return found
