# SPDX-License-Identifier: Apache-2.0
"""Randomised smoothing: a certificate about the smoothed classifier, with a confidence."""

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
        name="smoothing",
        summary="robustness of the smoothed classifier, with a confidence; never a proof",
        load=_load,
        guarantee="statistical",
        opaque=True,
    )


def _load() -> type[Backend[Any]]:
    from vnnverify_smoothing.backend import Smoothing

    return Smoothing
