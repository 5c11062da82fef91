# SPDX-License-Identifier: Apache-2.0
"""Bound propagation: intervals, forward and backward linear bounds, branch and bound on the input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vnnverify import BackendInfo, hookimpl

if TYPE_CHECKING:
    from vnnverify import Backend

__all__ = ["vnnverify_backends"]


@hookimpl
def vnnverify_backends() -> Iterable[BackendInfo]:
    """The one backend of this package."""
    yield BackendInfo(
        name="bound_propagation",
        summary="linear bounds, forward and backward (CROWN), with branch and bound on the input box",
        load=_load,
    )


def _load() -> type[Backend[Any]]:
    from vnnverify_bound_propagation.backends.bound_propagation import BoundPropagation

    return BoundPropagation
