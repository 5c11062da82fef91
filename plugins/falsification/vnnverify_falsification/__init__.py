# SPDX-License-Identifier: Apache-2.0
"""Falsification: concrete points and gradient attacks. It finds counterexamples and proves nothing."""

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
        name="falsification",
        summary="counterexamples by concrete points, projected gradients and random search",
        load=_load,
        opaque=True,
    )


def _load() -> type[Backend[Any]]:
    from vnnverify_falsification.backend import Falsification

    return Falsification
