# SPDX-License-Identifier: Apache-2.0
"""A broken plugin is listed with its error and does not keep the others from working."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from vnnverify.commands import main
from vnnverify.errors import PluginError
from vnnverify.plugin.manager import Plugins, load_plugins

GOOD = """
from vnnverify import BackendInfo, CommandInfo, OperatorInfo, hookimpl

class Writer:
    name = "runes"
    def write(self, report): return report.verdict.value

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="abacus", summary="counts beads", load=load)

def load():
    from vnnverify import Backend, NoOptions, Outcome
    class Abacus(Backend[NoOptions]):
        def verify(self, query, ctx): return Outcome.unknown("no beads left")
    return Abacus

@hookimpl
def vnnverify_commands():
    yield CommandInfo(name="count", summary="counts", load=load_command)

def load_command():
    import click
    return click.Command("count", callback=lambda: click.echo("one, two"))

@hookimpl
def vnnverify_operators():
    yield OperatorInfo(op_type="Bead", since_version=1, load=dict, domain="abacus")

@hookimpl
def vnnverify_rules():
    yield "interval", list

@hookimpl
def vnnverify_result_writers():
    yield Writer()
"""

HEAD = "from vnnverify import BackendInfo, hookimpl\n@hookimpl\ndef "
YIELD = HEAD + "vnnverify_backends(): yield BackendInfo(summary='s', load=int, "

LATE = """
from vnnverify import BackendInfo, CommandInfo, hookimpl

print("buy my beads")

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="lost", summary="cannot be imported", load=lambda: __import__("no_such_module"))
    yield BackendInfo(name="number", summary="is no backend", load=lambda: int)

@hookimpl
def vnnverify_commands():
    yield CommandInfo(name="turn", summary="cannot be imported", load=lambda: __import__("no_such_module"))

@hookimpl
def vnnverify_rules():
    def install(): raise RuntimeError("no such table")
    yield "interval", install
"""
"""Found to be broken only when it is used."""

BROKEN: dict[str, tuple[str, str]] = {
    "imports_nothing": ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_"),
    "no_python": ("def (", "SyntaxError: "),
    "exits": ("import sys; sys.exit('enough')", "SystemExit: enough"),
    "wrong_signature": (
        HEAD + "vnnverify_backends(query): yield",
        "PluginValidationError: .* hook 'vnnverify_backends'.*{'query'}",
    ),
    "mistyped_hook": (HEAD + "vnnverify_backend(): yield", "PluginValidationError: unknown hook"),
    "hook_raises": (HEAD + "vnnverify_backends(): raise OSError('no beads')", "vnnverify_backends: OSError"),
    "raises_late": (YIELD + "name='slow'); 1 / 0", "vnnverify_backends: ZeroDivisionError: "),
    "yields_nothing": (HEAD + "vnnverify_backends(): return None", "vnnverify_backends: TypeError: "),
    "yields_words": (HEAD + "vnnverify_backends(): yield 'abacus'", "must yield BackendInfo, not str"),
    "same_backend": (YIELD + "name='abacus')", "backend 'abacus' is already provided by plugin 'good'"),
    "other_api": (YIELD + "name='new', api_version=2)", "backend 'new' speaks plugin API 2, this"),
    "bad_name": (YIELD + "name='My Beads')", "backend name 'My Beads' must match"),
    "no_name": (YIELD + "name=None)", "backend name None must match"),
    "odd_command": (HEAD + "vnnverify_commands(): yield 'count'", "must yield CommandInfo, not str"),
    "odd_operator": (HEAD + "vnnverify_operators(): yield 'Relu'", "must yield OperatorInfo, not str"),
    "odd_rule": (
        HEAD + "vnnverify_rules(): yield 'interval'",
        "must yield pairs .domain name, function., not",
    ),
    "odd_writer": (HEAD + "vnnverify_result_writers(): yield open", "must yield objects with `name` and `wr"),
}

Install = Callable[[str, Mapping[str, str]], Path]


@pytest.fixture(scope="module")
def folder(install: Install) -> Path:
    return install(
        "strangers", {"good": GOOD, "late": LATE, **{name: source for name, (source, _) in BROKEN.items()}}
    )


@pytest.fixture
def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plugins]:
    """Load these plugins, in this order, into this process."""
    monkeypatch.syspath_prepend(str(folder))

    def make(*names: str) -> Plugins:
        for name in names:
            monkeypatch.delitem(sys.modules, name, raising=False)
        return load_plugins([EntryPoint(name, name, "vnnverify") for name in names])

    return make


def test_good_plugin_offers_one_of_everything(load: Callable[..., Plugins]) -> None:
    found = load("good")
    assert found.failures == []
    assert list(found.backends) == ["abacus"] and found.providers["abacus"] == "good"
    assert list(found.commands) == ["count"]
    assert [info.op_type for info in found.operators] == ["Bead"]
    assert [writer.name for writer in found.writers] == ["runes"]
    assert len(found.rules) == 1


@pytest.mark.parametrize(
    ("name", "first"),
    [(name, first) for name in BROKEN for first in (True, False) if not (name == "same_backend" and first)],
)
def test_broken_plugin_is_recorded_and_harms_nobody(
    load: Callable[..., Plugins], name: str, first: bool
) -> None:
    found = load(name, "good") if first else load("good", name)
    (failure,) = found.failures
    assert failure.plugin == name
    assert "\n" not in failure.reason
    assert re.search(BROKEN[name][1], failure.reason), failure.reason
    assert list(found.backends) == ["abacus"]
    assert list(found.commands) == ["count"]
    assert len(found.operators) == len(found.rules) == len(found.writers) == 1


def test_the_first_of_two_plugins_with_one_name_stays(
    load: Callable[..., Plugins], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    points = [EntryPoint("good", "good", "vnnverify"), EntryPoint("good", "other_api", "vnnverify")]
    found = load_plugins(points)
    assert list(found.backends) == ["abacus"]
    (failure,) = found.failures
    assert "another plugin is already called 'good'; rename the entry point" in failure.reason


def test_one_module_under_two_names_counts_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    found = load_plugins([EntryPoint(name, "good", "vnnverify") for name in ("good", "again")])
    assert list(found.backends) == ["abacus"]
    (failure,) = found.failures
    assert failure.plugin == "again"
    assert "already installed as plugin 'good'" in failure.reason


def test_asking_for_a_backend_of_a_broken_plugin_says_what_broke(load: Callable[..., Plugins]) -> None:
    found = load("imports_nothing", "good")
    with pytest.raises(PluginError, match=r"its plugin is broken: ModuleNotFoundError: No module named"):
        found.backend("imports-nothing")
    with pytest.raises(PluginError, match=r"^no backend called 'lathe'; installed: abacus$"):
        found.backend("lathe")


def test_a_backend_that_cannot_be_loaded_is_a_plugin_error(load: Callable[..., Plugins]) -> None:
    found = load("late")
    with pytest.raises(PluginError, match=r"^backend 'lost' fails to load: ModuleNotFoundError: "):
        found.backend_class("lost")
    with pytest.raises(PluginError, match=r"load\(\) must return a subclass of Backend, not <class 'int'>"):
        found.backend_class("number")
    assert load("good").backend_class("abacus").__name__ == "Abacus"


def test_rules_that_fail_are_recorded(load: Callable[..., Plugins]) -> None:
    found = load("good", "late")
    found.install_rules()
    (failure,) = found.failures
    assert failure.plugin == "late"
    assert failure.reason == "rules for 'interval': RuntimeError: no such table"


def test_command_line_lists_failures_and_keeps_stdout_clean(folder: Path) -> None:
    """A real process with all of them installed; one of them prints when it is imported."""
    done = program(folder, "backends")
    assert done.returncode == 0, done.stderr
    assert "counts beads" in done.stdout and "milp" in done.stdout
    for name in BROKEN:
        assert f"\n{name}: broken plugin: " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "buy my beads" not in done.stdout
    assert "buy my beads" in done.stderr


def program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vnnverify", *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_commands_of_plugins_are_listed_and_run(folder: Path) -> None:
    assert re.search(r"^  count +counts$", program(folder, "--help").stdout, re.MULTILINE)
    done = program(folder, "count")
    assert (done.returncode, done.stdout) == (0, "one, two\n")
    done = program(folder, "turn")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "vnnverify: error: command 'turn' fails to load: ModuleNot"
    )
    assert "Traceback" not in done.stderr


def test_a_backend_that_cannot_be_loaded_is_one_line(
    load: Callable[..., Plugins], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load("late")
    monkeypatch.setattr("vnnverify.commands.backends.load_plugins", lambda: found)
    with pytest.raises(SystemExit) as ended:
        main(["backends", "lost"])
    assert ended.value.code == 2
    stderr = capsys.readouterr().err
    printed, error = stderr.splitlines()
    assert printed == "buy my beads"
    assert error.startswith("vnnverify: error: backend 'lost' fails to load: ModuleNotFoundError: No module")
