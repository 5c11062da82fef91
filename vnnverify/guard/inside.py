# SPDX-License-Identifier: Apache-2.0
"""What goes into the steps of a model, as outputs of a model of their own: behind a step a misreading rarely
shows, as one before a sign or a saturated softmax."""

from __future__ import annotations

import logging

from vnnverify.importer.extraction import Parts
from vnnverify.query import ModelFile

__all__ = ["before_steps"]

logger = logging.getLogger(__name__)

_STEPS = frozenset(
    {
        "ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "GreaterOrEqual", "Hardmax", "Less",
        "LessOrEqual", "LogSoftmax", "QuantizeLinear", "Round", "Sigmoid", "Sign", "Softmax", "TopK",
    }
)  # fmt: skip
MOST = 64
"""Values that are looked at."""


def before_steps(model: ModelFile) -> ModelFile | None:
    """The part of the model that leads to the arguments of its steps; None if there is none that can be cut
    out and read."""
    try:
        parts = Parts(model.data)
        wanted = parts.computed_floats(k for k in range(len(parts.names)) if parts.node(k)[1] in _STEPS)
        if not wanted:
            return None
        wanted = wanted[-MOST:]
        return model.reread(parts.model(parts.before(wanted), wanted))
    except Exception:  # fence: what is odd about the model is met here; its outputs are compared all the same
        logger.debug("the values before steps were not cut out", exc_info=True)
        return None
