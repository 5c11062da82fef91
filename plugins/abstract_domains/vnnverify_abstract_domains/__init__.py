# SPDX-License-Identifier: Apache-2.0
"""Abstract domains beside the linear bounds: zonotopes."""

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
        name="zonotope",
        summary="zonotopes (DeepZ), with branch and bound on the input box",
        load=_load,
        refutes=True,
        proves=True,
        complete=True,
        few_inputs=16,
    )


def _load() -> type[Backend[Any]]:
    from vnnverify_abstract_domains.backend import ZonotopeBackend

    return ZonotopeBackend
