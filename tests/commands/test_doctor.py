# SPDX-License-Identifier: Apache-2.0
"""`vnnverify doctor` names every package, device and backend, and counts what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

import vnnverify.commands.doctor as doctor
from vnnverify import BackendInfo
from vnnverify.plugin.manager import PluginFailure, Plugins


def broken() -> type:
    raise ImportError("no module named abacus")


def test_all_is_well_here(inside: Callable[..., Any]) -> None:
    done = inside("doctor")
    assert (done.code, done.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    for package in ("torch", "onnx", "highspy", "lark", "pluggy"):
        assert [package, version(package)] in lines
    assert any(
        name == "onnxruntime" and re.fullmatch(r"onnxruntime(-gpu)? [\d.]+", rest) for name, rest in lines
    )
    assert ["backend", "milp: ok"] in lines
    assert done.stdout.endswith("\nall is well\n")


def test_broken_plugins_are_named_and_counted(
    inside: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = Plugins(
        backends={"abacus": BackendInfo(name="abacus", summary="beads", load=broken)},
        failures=[PluginFailure("runes", "SyntaxError: invalid syntax")],
    )
    monkeypatch.setattr(doctor, "load_plugins", lambda: plugins)
    done = inside("doctor")
    assert done.code == 1
    assert "backend       abacus: fails to load: ImportError: no module named abacus\n" in done.stdout
    assert "plugin        runes: broken: SyntaxError: invalid syntax\n" in done.stdout
    assert done.stdout.endswith("\n2 problem(s) found\n")


def test_a_missing_package_comes_with_its_remedy(
    inside: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor._PACKAGES, "no-such-package", "pip install no-such-package")
    done = inside("doctor")
    assert done.code == 1
    assert "no-such-package missing: pip install no-such-package\n" in done.stdout
