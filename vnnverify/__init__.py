# SPDX-License-Identifier: Apache-2.0
"""vnnverify: decides whether a neural network satisfies a property. Public names only.

Names are loaded on first use, so that `import vnnverify` costs neither torch nor onnx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vnnverify.api import (
        Counterexample,
        Result,
        Run,
        export,
        start,
        verify,
        verify_async,
        verify_many,
    )
    from vnnverify.deadline import Deadline
    from vnnverify.errors import VnnverifyError
    from vnnverify.importer.modules import graph_of
    from vnnverify.plugin.backend import Backend, ClauseBackend, Context, NoOptions, Outcome
    from vnnverify.plugin.hookspecs import BackendInfo, BoundMethodInfo, CommandInfo, OperatorInfo, hookimpl
    from vnnverify.plugin.options import option
    from vnnverify.process.job import Progress
    from vnnverify.properties import Property
    from vnnverify.query import Ball, Box, Clause, Polytope, Query, Region
    from vnnverify.verdict import Guarantee, Support, Verdict

__version__ = "0.1.0"

_HOME = {
    "api": (
        "Counterexample",
        "Result",
        "Run",
        "export",
        "start",
        "verify",
        "verify_async",
        "verify_many",
    ),
    "plugin.backend": ("Backend", "ClauseBackend", "Context", "NoOptions", "Outcome"),
    "plugin.options": ("option",),
    "deadline": ("Deadline",),
    "errors": ("VnnverifyError",),
    "importer.modules": ("graph_of",),
    "plugin.hookspecs": ("BackendInfo", "BoundMethodInfo", "CommandInfo", "OperatorInfo", "hookimpl"),
    "process.job": ("Progress",),
    "properties": ("Property",),
    "query": ("Ball", "Box", "Clause", "Polytope", "Query", "Region"),
    "verdict": ("Guarantee", "Support", "Verdict"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Backend",
    "BackendInfo",
    "Ball",
    "BoundMethodInfo",
    "Box",
    "Clause",
    "ClauseBackend",
    "CommandInfo",
    "Context",
    "Counterexample",
    "Deadline",
    "Guarantee",
    "NoOptions",
    "OperatorInfo",
    "Outcome",
    "Polytope",
    "Progress",
    "Property",
    "Query",
    "Region",
    "Result",
    "Run",
    "Support",
    "Verdict",
    "VnnverifyError",
    "__version__",
    "bounds",
    "export",
    "graph_of",
    "hookimpl",
    "option",
    "start",
    "verify",
    "verify_async",
    "verify_many",
]


def __dir__() -> list[str]:
    """The public names, loaded or not, so that completion and `dir` show them."""
    return sorted({*__all__, *globals()})


def __getattr__(name: str) -> Any:
    if name == "bounds":
        return import_module("vnnverify.bounds")
    if name in _MODULE:
        return getattr(import_module(f"vnnverify.{_MODULE[name]}"), name)
    raise AttributeError(f"module 'vnnverify' has no attribute {name!r}")
