# SPDX-License-Identifier: Apache-2.0
"""The README: two commands for a stranger, tables that agree with the code, examples that run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click

from vnnverify.commands import app
from vnnverify.plugin.manager import load_plugins
from vnnverify.results import find_writer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE).group().splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def commands() -> dict[str, click.Command]:
    ctx = click.Context(app)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"vnnverify": "vnnverify.commands:main"}
    others = load_plugins().commands
    return {name: app.get_command(ctx, name) for name in app.list_commands(ctx) if name not in others}


def test_the_two_commands_are_what_ci_looks_for() -> None:
    lines = [line for line in README.splitlines() if line.startswith("python -m pip install")]
    assert len(lines) == 2 and lines[0].startswith("python -m pip install . && vnnverify verify ")
    for path in re.findall(r"\S+/\S+\.(?:onnx|vnnlib)", lines[0]):
        assert (ROOT / path).exists()
    assert lines[1] == "python -m pip install -e '.[dev]' && pytest"


def test_shipped_backends_with_their_guarantee() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugins = load_plugins()
    shipped = {
        name: info.guarantee
        for name, info in plugins.backends.items()
        if plugins.providers[name] in project["entry-points"]["vnnverify"]
    }
    rows = table("Backends")
    told = {name: row[3].strip("`") for row in rows for name in re.findall(r"`([\w-]+)`", row[0])}
    assert told.pop("falsification") == "–" and shipped.pop("falsification") == "real"
    assert told == shipped


def test_every_command_and_no_other_option() -> None:
    known = commands()
    told = {re.match(r"`vnnverify (\w+)", row[0]).group(1): " ".join(row) for row in table("Command line")}
    assert set(told) == set(known)
    for name, text in told.items():
        options = {opt for p in known[name].params if isinstance(p, click.Option) for opt in p.opts}
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) <= options, name


def test_options_of_backends_that_are_mentioned() -> None:
    for name, key, value in re.findall(r"`-o (\w+)\.(\w+)=(\S+)`", README):
        parsed = load_plugins().backend_class(name).parse_options({key: value})
        assert getattr(parsed, key) is not None


def test_result_formats() -> None:
    assert [row[0].strip("`") for row in table("Results")] == [
        find_writer(name).name for name in ("vnncomp", "vnnlib2", "json", "text")
    ]


def test_the_python_example_runs() -> None:
    block = "".join(re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = r"sat False\n\(1, 1, 28, 28\) \[\[[^\]]+\]\]\n"
    assert re.fullmatch(expected, done.stdout), done.stdout


def test_the_competition_scripts_are_there() -> None:
    names = ("install_tool.sh", "prepare_instance.sh", "run_instance.sh")
    assert all(os.access(ROOT / "vnncomp" / name, os.X_OK) for name in names)
