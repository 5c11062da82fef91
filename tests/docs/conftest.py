# SPDX-License-Identifier: Apache-2.0
"""Reading the pages' code blocks, and installing the packages they describe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^`([\w./-]+)`:\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def page() -> Callable[[str], str]:
    """The text of a page, by its path from the root."""
    return lambda path: (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def labelled() -> Callable[[str], dict[str, str]]:
    """The fenced blocks of a page that stand under a line with nothing but their path."""

    def read(text: str) -> dict[str, str]:
        found = _BLOCK.findall(text)
        assert len(found) == len(dict(found)), "a path occurs twice"
        return dict(found)

    return read


@pytest.fixture(scope="session")
def lay_out() -> Callable[[Path, Mapping[str, str]], Run]:
    """Lay out a package in a folder as an installer would; what runs Python where it is installed, with
    any others that are."""

    def install(folder: Path, files: Mapping[str, str]) -> Run:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        project = tomllib.loads(files["pyproject.toml"])["project"]
        points = project["entry-points"]["vnnverify"]
        info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        rows = "".join(f"{name} = {module}\n" for name, module in points.items())
        (info / "entry_points.txt").write_text(f"[vnnverify]\n{rows}")

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, "PYTHONPATH": str(folder)}
            return subprocess.run(
                [sys.executable, *arguments], env=environment, cwd=folder,
                capture_output=True, text=True, check=False,
            )  # fmt: skip

        return run

    return install


@pytest.fixture
def stranger(tmp_path: Path, lay_out: Callable[[Path, Mapping[str, str]], Run]) -> Callable[..., Run]:
    """The same in a folder of the test's own."""
    return lambda files: lay_out(tmp_path, files)
