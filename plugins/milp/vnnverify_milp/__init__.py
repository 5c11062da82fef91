# SPDX-License-Identifier: Apache-2.0
"""Exact mixed-integer encoding of piecewise-linear networks, solved by HiGHS."""

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
        name="milp",
        summary="exact mixed-integer encoding of piecewise-linear networks on HiGHS; for small ones",
        load=_load,
        refutes=True,
        proves=True,
        complete=True,
        few_neurons=1000,
    )


def _load() -> type[Backend[Any]]:
    from vnnverify_milp.backend import Milp

    return Milp
