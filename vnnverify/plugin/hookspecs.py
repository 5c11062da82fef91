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
    """What a backend is, as far as others need to know before it is imported. Only `load` may import torch or
    a solver.

    The automatic order is made from what is declared here (`vnnverify.engine.schedule`): a backend that
    neither `refutes` nor `proves` has a turn only where it is asked for by name.
    """

    name: str  # [a-z][a-z0-9_-]*, unique across all installed plugins
    summary: str
    load: Callable[[], type[Backend[Any]]]
    guarantee: str = "real"
    """real, float or statistical: see `Guarantee`. What is statistical is no part of the automatic order."""
    opaque: bool = False
    """Whether it also works on models that the importer cannot read."""
    refutes: bool = False
    """Whether it looks for counterexamples. One that only does so begins, for a moment, and has the time that
    the others leave."""
    proves: bool = False
    """Whether it can answer `unsat`."""
    complete: bool = False
    """Whether, given the time, it decides all that it takes, except what rounding hides. One that proves
    without being complete has no part in the automatic order."""
    finite_inputs: bool = False
    """Whether it tries every input, where these are finitely many; elsewhere it has no turn."""
    few_inputs: int | None = None
    """Up to so many varying inputs it gets somewhere, as it halves the input box; beyond it has no turn."""
    few_neurons: int | None = None
    """Up to so many nonlinear neurons it has a good chance, as an exact encoding does. It has its turn after
    those that scale; beyond, it leaves more of the time to them."""
    api_version: int = API_VERSION

    @property
    def attacks(self) -> bool:
        """Whether it does nothing but look for counterexamples."""
        return self.refutes and not self.proves

    @property
    def abilities(self) -> str:
        """What it declares, in words; empty if it declares nothing."""
        few = None if self.few_inputs is None else f"up to {self.few_inputs} varying inputs"
        small = None if self.few_neurons is None else f"best up to {self.few_neurons:,} nonlinear neurons"
        said = {
            "refutes": self.refutes,
            "proves": self.proves,
            "complete": self.complete,
            "finitely many inputs only": self.finite_inputs,
            "takes black boxes": self.opaque,
        }
        return ", ".join([*(word for word, so in said.items() if so), *filter(None, (few, small))])


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
