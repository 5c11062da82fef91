# SPDX-License-Identifier: Apache-2.0
"""Concrete points: attacks, which find counterexamples and prove nothing, and all points there are, where
these are finitely many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vnnverify import BackendInfo, hookimpl

if TYPE_CHECKING:
    from vnnverify import Backend

__all__ = ["vnnverify_backends"]


@hookimpl
def vnnverify_backends() -> Iterable[BackendInfo]:
    """The two backends of this package."""
    yield BackendInfo(
        name="falsification",
        summary="counterexamples by concrete points, projected gradients and random search",
        load=_load,
        opaque=True,
        refutes=True,
    )
    yield BackendInfo(
        name="enumeration",
        summary="every input there is, where all that vary are cut to whole numbers",
        load=_load_enumeration,
        guarantee="float",
        opaque=True,
        refutes=True,
        proves=True,
        complete=True,
        finite_inputs=True,
    )


def _load() -> type[Backend[Any]]:
    from vnnverify_falsification.backend import Falsification

    return Falsification


def _load_enumeration() -> type[Backend[Any]]:
    from vnnverify_falsification.enumeration import Enumeration

    return Enumeration
