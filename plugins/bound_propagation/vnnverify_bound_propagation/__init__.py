# SPDX-License-Identifier: Apache-2.0
"""Linear bounds: the search `bound_propagation`, and single bounding methods under their own names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vnnverify import BackendInfo, hookimpl

if TYPE_CHECKING:
    from vnnverify import Backend

__all__ = ["vnnverify_backends"]

SUMMARIES = {
    (
        "bound_propagation",
        "BoundPropagation",
    ): "linear bounds with branch and bound on inputs, ReLUs or curves",
    ("interval", "IntervalBackend"): "interval bound propagation",
    ("crown", "CrownBackend"): "CROWN: backward linear bounds",
    ("fast-lin", "FastLinBackend"): "Fast-Lin: backward linear bounds with parallel lines",
    ("deeppoly", "DeepPolyBackend"): "DeepPoly: backward linear bounds with lines of least area",
    ("crown-ibp", "CrownIbpBackend"): "CROWN-IBP: intervals inside, one backward pass for the specification",
    ("alpha-crown", "AlphaCrownBackend"): "α-CROWN: backward linear bounds with optimised slopes",
}


@hookimpl
def vnnverify_backends() -> Iterable[BackendInfo]:
    """The search, and the methods that are backends by themselves."""
    for (name, kind), summary in SUMMARIES.items():
        yield BackendInfo(
            name=name,
            summary=summary,
            load=_loader(name, kind),
            refutes=True,
            proves=True,
            complete=name == "bound_propagation",
        )


def _loader(name: str, kind: str) -> Callable[[], type[Backend[Any]]]:
    def load() -> type[Backend[Any]]:
        module = import_module(f"vnnverify_bound_propagation.backends.{name.replace('-', '_')}")
        found: type[Backend[Any]] = getattr(module, kind)
        return found

    return load
