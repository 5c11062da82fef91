# SPDX-License-Identifier: Apache-2.0
"""A backend leaves everything as it was: the query, and the process it runs in."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vnnverify.plugin.backend import Backend
from vnnverify.query import Query
from vnnverify.testing.records import demand, for_each
from vnnverify.testing.subject import Settings, ask, context, supported_zoo
from vnnverify.testing.zoo import Specimen

__all__ = ["check_process_untouched", "check_query_untouched"]

STRIDE = 5  # every so many specimens


def check_query_untouched(backend: Backend[Any], settings: Settings) -> None:
    """No tensor of the query changes, nor any parameter of its graph."""

    def check(specimen: Specimen) -> None:
        """One specimen, before and after."""
        query = specimen.query
        before = _digest(query)
        backend.supports(query)
        ask(backend, query, context(query, settings.time_for(specimen)), specimen.name)
        demand(_digest(query) == before, f"{specimen.name}: the query's tensors were changed")

    for_each(supported_zoo(backend)[::STRIDE], check)


def check_process_untouched(backend: Backend[Any], settings: Settings) -> None:
    """Random states, default dtype, precision flags, threads, environment and folder stay as they are."""

    def check(specimen: Specimen) -> None:
        """One specimen, before and after."""
        before = _process()
        ask(backend, specimen.query, context(specimen.query, settings.time_for(specimen)), specimen.name)
        after = _process()
        changed = [key for key, value in before.items() if after[key] != value]
        demand(not changed, f"{specimen.name}: changed in the process: {', '.join(changed)}")

    for_each(supported_zoo(backend)[::STRIDE], check)


def _digest(query: Query) -> str:
    total = hashlib.sha256()
    tensors: list[Tensor] = []
    for clause in query.clauses:
        tensors += [clause.region.lower, clause.region.upper]
        polytopes = [*clause.unsafe, *([clause.region.linear] if clause.region.linear else [])]
        for polytope in polytopes:
            tensors += [polytope.A, polytope.b, polytope.strict]
    for node in query.graph.nodes:
        values = (getattr(node.op, field.name) for field in dataclasses.fields(node.op))
        tensors += [value for value in values if isinstance(value, Tensor)]
    for tensor in tensors:
        total.update(f"{tensor.dtype}{tuple(tensor.shape)}{tensor.requires_grad}".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _process() -> dict[str, object]:
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "torch's thread count": torch.get_num_threads(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "TF32 in matrix products": torch.backends.cuda.matmul.allow_tf32,
        "TF32 in cuDNN": torch.backends.cudnn.allow_tf32,
        "numpy's random state": _numpy_state(),
        "numpy's error handling": repr(np.geterr()),
        "Python's random state": random.getstate(),
        "the environment": dict(os.environ),
        "the working folder": os.getcwd(),
    }


def _numpy_state() -> tuple[bytes, int]:
    state = np.random.get_state(legacy=False)["state"]
    return state["key"].tobytes(), state["pos"]
