# SPDX-License-Identifier: Apache-2.0
"""Strangers' packages, as an installer would leave them on disk, and threads for what runs here."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Install = Callable[[str, Mapping[str, str]], Path]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs done in this process compute on one thread: on small networks more of them only wait, busily."""
    monkeypatch.setattr("vnnverify.process.session.cores", lambda: 1)


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Lay down a distribution with one plugin per module, each called as its module is.

    Returns the folder to put on the path.
    """

    def make(name: str, modules: Mapping[str, str]) -> Path:
        folder = tmp_path_factory.mktemp(name)
        for module, source in modules.items():
            (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = "".join(f"{module} = {module}\n" for module in modules)
        (info / "entry_points.txt").write_text(f"[vnnverify]\n{points}")
        return folder

    return make
