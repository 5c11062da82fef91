# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, what starting up may cost, and that the packages agree with each other."""

from __future__ import annotations

import ast
import graphlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vnnverify
from vnnverify.plugin.manager import load_plugins

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "vnnverify").rglob("*.py"))
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
FIRST_PARTY = [folder for folder in PLUGINS if folder.name != "example"]
PACKAGES = {package.name for package in (ROOT / "plugins").glob("*/vnnverify_*")}
UPWARD = {
    ("vnnverify.ir.op", "vnnverify.ir.graph"),  # an operator's parts are a graph of operators
    ("vnnverify.plugin.hookspecs", "vnnverify.importer"),  # what a record loads; hooks need neither onnx …
    ("vnnverify.plugin.hookspecs", "vnnverify.bounds"),  # … nor torch
}
"""Imports for annotations alone, of types that refer to each other. Their modules say why."""
BACKENDS = {
    name
    for name, plugin in load_plugins().providers.items()
    if plugin.replace("-", "_") in {folder.name for folder in FIRST_PARTY}
}
HEAVY = ("torch", "onnx", "onnxruntime", "onnx2torch", "highspy", "scipy", "numpy", "lark", "rich")


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(module, names taken from it) of each import, at whatever depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", tuple(alias.name for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_walk_sees_imports_of_every_kind() -> None:
    tree = ast.parse("import a.b\ndef f():\n    from c.d import e, g\nclass K:\n    import h")
    assert set(imported(tree)) == {("a.b", ()), ("c.d", ("e", "g")), ("h", ())}
    assert {"bound_propagation", "enumeration", "falsification", "milp", "smoothing", "zonotope"} <= BACKENDS
    assert len(CORE) > 80 and len(PACKAGES) == len(PLUGINS) >= 6


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_knows_no_plugin(path: Path) -> None:
    tree = parsed(path)
    assert [name for name, _ in imported(tree) if name.startswith("vnnverify_")] == []
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    assert [text for text in texts if isinstance(text, str) and text.partition(".")[0] in PACKAGES] == []


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_names_no_backend(path: Path) -> None:
    """Not in anything that it runs or says, unless it is the name of one of its own bounding methods."""
    words = re.compile(rf"\b({'|'.join(BACKENDS - set(vnnverify.bounds.METHODS))})\b")
    tree = parsed(path)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    said = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    found = {word for node in said if isinstance(node.value, str) for word in words.findall(node.value)}
    assert found - ({"zonotope"} if "bounds" in path.parts else set()) == set()


def modules() -> dict[str, Path]:
    """Every module of core and of the plugins by its dotted name."""
    found = {}
    for root in (ROOT, *PLUGINS):
        for path in root.glob("vnnverify*/**/*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports_of(module: str, *, everywhere: bool) -> set[str]:
    """The modules of this project that a module imports when it is loaded, packages on the way included; or
    with those that functions and annotations import."""
    tree = parsed(MODULES[module])
    if not everywhere:
        kept = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom | ast.Try)]
        tree = ast.Module(body=kept, type_ignores=[])
    named = {name for name, _ in imported(tree)}
    named |= {f"{name}.{part}" for name, parts in imported(tree) for part in parts}
    loaded = {".".join(name.split(".")[: k + 1]) for name in named for k in range(name.count(".") + 1)}
    return {name for name in loaded if name in MODULES and not f"{module}.".startswith(f"{name}.")}


@pytest.mark.parametrize("everywhere", [False, True], ids=["loading", "anywhere"])
def test_imports_have_no_circle(everywhere: bool) -> None:
    graph = {name: imports_of(name, everywhere=everywhere) for name in MODULES}
    for module, other in UPWARD if everywhere else ():
        graph[module].remove(other)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def rooms() -> list[str]:
    """The rooms of `vnnverify`, as the architecture page orders them: each imports only from later ones."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page.split("\n## Rooms\n")[1].split("\n## ")[0], re.MULTILINE)
    return [name.removesuffix("/").removesuffix(".py") for row in rows for name in re.findall("`(.*?)`", row)]


def test_rooms_import_only_from_rooms_below() -> None:
    order = rooms()
    wrong = []
    for module in MODULES:
        top, _, inner = module.partition(".")
        if top != "vnnverify" or not inner or inner.startswith("__"):
            continue
        own = inner.partition(".")[0]
        for other in imports_of(module, everywhere=True):
            room = other.removeprefix("vnnverify").removeprefix(".").partition(".")[0]
            if (
                room
                and room != own
                and order.index(room) < order.index(own)
                and (module, other) not in UPWARD
            ):
                wrong.append(f"{module} imports {other}")
    assert wrong == []


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_plugin_uses_no_private_name_of_the_framework(folder: Path) -> None:
    private = [
        f"{path.name}: {module}.{name}"
        for path in folder.glob("vnnverify_*/**/*.py")
        for module, names in imported(parsed(path))
        if module.partition(".")[0] == "vnnverify"
        for name in (*module.split("."), *names)
        if name.startswith("_")
    ]
    assert private == []


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["backends"], ["verify", "--help"], ["bench", "--help"], ["nope"], []],
    ids=" ".join,
)
def test_start_up_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import json, sys\n"
        "from vnnverify.commands import main\n"
        "try:\n"
        "    main(json.loads(sys.argv[1]))\n"
        "finally:\n"
        "    print('\\n' + json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 2), done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    assert "vnnverify.commands" in modules
    assert [name for name in HEAVY if name in modules] == []


@pytest.mark.parametrize(
    "module", ["vnnverify", "vnnverify.process.supervisor", "vnnverify.results", "vnnverify.suites.run"]
)
def test_module_imports_nothing_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert [name for name in HEAVY if name in json.loads(done.stdout)] == []


def test_every_public_name_is_there() -> None:
    assert [name for name in vnnverify.__all__ if not hasattr(vnnverify, name)] == []


def test_public_names_are_listed_before_they_are_loaded() -> None:
    code = "import json, sys, vnnverify; print(json.dumps([dir(vnnverify), 'torch' in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed, loaded = json.loads(done.stdout)
    assert set(vnnverify.__all__) <= set(listed) and "__doc__" in listed
    assert listed == sorted(set(listed)) and not loaded
    with pytest.raises(AttributeError, match="module 'vnnverify' has no attribute 'nothing'"):
        vnnverify.nothing  # noqa: B018


def test_version_is_stated_alike() -> None:
    version = project(ROOT)["project"]["version"]
    assert vnnverify.__version__ == version
    assert importlib.metadata.version("vnnverify") == version
    assert {folder.name: project(folder)["project"]["version"] for folder in PLUGINS} == {
        folder.name: version for folder in PLUGINS
    }


def points() -> dict[str, str]:
    """The entry points of the first-party plugins."""
    each = (project(folder)["project"]["entry-points"]["vnnverify"] for folder in FIRST_PARTY)
    return {name: package for found in each for name, package in found.items()}


def test_root_installs_the_first_party_plugins_and_no_other() -> None:
    root = project(ROOT)
    assert root["project"]["entry-points"]["vnnverify"] == points()
    where = root["tool"]["setuptools"]["packages"]["find"]["where"]
    assert where == [".", *(f"plugins/{folder.name}" for folder in FIRST_PARTY)]


def test_types_of_core_and_first_party_plugins_are_checked() -> None:
    settings = project(ROOT)["tool"]["mypy"]
    assert settings["strict"] and settings["packages"] == ["vnnverify", *sorted(points().values())]


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_plugin_could_be_published_as_it_stands(folder: Path) -> None:
    root, own = project(ROOT), project(folder)
    for key in ("license", "requires-python"):
        assert own["project"][key] == root["project"][key]
    (package,) = (path.name for path in folder.glob("vnnverify_*"))
    ours = {
        module.partition(".")[0].replace("_", "-")
        for path in folder.glob("vnnverify_*/**/*.py")
        for module, _ in imported(parsed(path))
        if module.startswith("vnnverify") and module.partition(".")[0] != package
    }
    dependencies = set(own["project"]["dependencies"])
    assert ours <= dependencies
    assert dependencies - ours <= set(root["project"]["dependencies"])
    assert own["project"]["name"] == package.replace("_", "-")
    assert own["tool"]["setuptools"]["packages"]["find"]["include"] == [f"{package}*"]
    assert list(own["project"]["entry-points"]["vnnverify"].values()) == [package]
    assert own["build-system"] == root["build-system"]
    readme = own["project"].get("readme")
    assert readme is None or (folder / readme).is_file()
