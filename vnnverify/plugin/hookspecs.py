# SPDX-License-Identifier: Apache-2.0
"""Where plugins join in. A hook yields records; no hook does any work.

A plugin is an installed package with an entry point in the group ``vnnverify``::

    [project.entry-points.vnnverify]
    dice = "vnnverify_dice"

    # vnnverify_dice/__init__.py
    from vnnverify import BackendInfo, hookimpl

    @hookimpl
    def vnnverify_backends():
        yield BackendInfo(name="dice", summary="…", load=_load)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:  # keep this module import-light: no torch, no onnx
    import click

    # These rooms ask for the records below, and say what a record loads: the types refer to each other.
    from vnnverify.bounds import BoundMethod
    from vnnverify.importer import NodeReader
    from vnnverify.plugin.backend import Backend
    from vnnverify.results import ResultWriter

__all__ = [
    "API_VERSION",
    "BackendInfo",
    "BoundMethodInfo",
    "CommandInfo",
    "OperatorInfo",
    "hookimpl",
    "hookspec",
]

hookspec = pluggy.HookspecMarker("vnnverify")
hookimpl = pluggy.HookimplMarker("vnnverify")
API_VERSION = 1


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """One line of `vnnverify backends`. Only `load` may import torch or a solver."""

    name: str  # [a-z][a-z0-9_-]*, unique across all installed plugins
    summary: str
    load: Callable[[], type[Backend[Any]]]
    guarantee: str = "real"  # real, float or statistical: see `Guarantee`
    opaque: bool = False  # whether it also works on models that the importer cannot read
    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True)
class BoundMethodInfo:
    """A bounding method, for `vnnverify.bounds(…, method=name)`. Only `load` may import torch."""

    name: str  # [a-z][a-z0-9_-]*, unique across all installed plugins
    summary: str
    load: Callable[[], BoundMethod]


@dataclass(frozen=True, slots=True)
class OperatorInfo:
    """An ONNX operator, from one opset on, and the function that reads its nodes."""

    op_type: str
    since_version: int
    load: Callable[[], NodeReader]
    domain: str = ""


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """A sub-command of the `vnnverify` command line."""

    name: str
    summary: str
    load: Callable[[], click.Command]


@hookspec
def vnnverify_backends() -> Iterable[BackendInfo]:
    """Yield the backends this plugin offers."""
    return ()


@hookspec
def vnnverify_bound_methods() -> Iterable[BoundMethodInfo]:
    """Yield the bounding methods this plugin offers."""
    return ()


@hookspec
def vnnverify_operators() -> Iterable[OperatorInfo]:
    """Yield the ONNX operators this plugin can read."""
    return ()


@hookspec
def vnnverify_rules() -> Iterable[tuple[str, Callable[[], None]]]:
    """Yield (domain name, install); `install` is called once, before a model is read, imports that
    domain and adds rules to its table."""
    return ()


@hookspec
def vnnverify_result_writers() -> Iterable[ResultWriter]:
    """Yield result formats for `--format`."""
    return ()


@hookspec
def vnnverify_commands() -> Iterable[CommandInfo]:
    """Yield sub-commands."""
    return ()
