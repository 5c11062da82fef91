# SPDX-License-Identifier: Apache-2.0
"""Listing a plugin costs nothing: its entry point imports no heavy package."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

from vnnverify.plugin.backend import Backend
from vnnverify.plugin.manager import GROUP
from vnnverify.testing.records import CheckSkipped, demand
from vnnverify.testing.subject import Settings

__all__ = ["HEAVY", "check_light_import"]

HEAVY = (
    "cvxpy",
    "gurobipy",
    "highspy",
    "jax",
    "mip",
    "onnx",
    "onnx2torch",
    "onnxruntime",
    "ortools",
    "pyscipopt",
    "scipy",
    "tensorflow",
    "torch",
    "torchvision",
    "z3",
)
"""Packages that only `BackendInfo.load` may import."""

PROGRAM = """
import importlib, sys
module = importlib.import_module(sys.argv[1])
hook = getattr(module, "vnnverify_backends", None)
infos = list(hook()) if hook else []
print(",".join(name for name in sys.argv[2:] if name in sys.modules))
"""


def check_light_import(backend: Backend[Any], settings: Settings) -> None:
    """A fresh interpreter imports the entry point's module and asks its hook, with no heavy package."""
    module = _entry_module(type(backend).__module__)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, *HEAVY],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    last = (done.stderr.strip().splitlines() or [""])[-1]
    demand(done.returncode == 0, f"importing {module} failed: {last}")
    loaded = done.stdout.strip()
    demand(not loaded, f"importing {module} also imports {loaded}; import them in `load` only")


def _entry_module(module: str) -> str:
    """The module of the entry point whose package holds `module`.

    Raises:
        CheckSkipped: no entry point does.
    """
    package = module.partition(".")[0]
    for point in entry_points(group=GROUP):
        if point.module.partition(".")[0] == package:
            return point.module
    raise CheckSkipped(f"no entry point of the group {GROUP!r} leads to {package}")
