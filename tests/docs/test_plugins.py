# SPDX-License-Identifier: Apache-2.0
"""The page on plugins: complete, identical to the example it prints, and every piece of code on it runs."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import vnnverify
from vnnverify import testing
from vnnverify.plugin import hookspecs

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "plugins" / "example"
PAGE = "docs/plugins.md"
PROJECT = """
[project]
name = "vnnverify-extras"
version = "1"
[project.entry-points.vnnverify]
csv = "vnnverify_csv"
sizes = "vnnverify_sizes"
"""

AFTER = """
from vnnverify import Verdict
from vnnverify.domains import interval
from vnnverify.ops.steps import Sign
from vnnverify.testing import OperatorCase, check_backend, check_domain

assert outcome.verdict is Verdict.UNSAT, outcome
easy = {"point_sat", "point_unsat", "absolute_below"}
check_backend(Splitting(), settings=Settings(must_decide=easy, spare_seconds=0.05))
check_backend(Boxes(), settings=Settings(must_decide={"point_unsat"}))
assert type("Opted", (Boxes,), {"options_type": BoxesOptions}).parse_options({"splits": "0"}).splits == 0
_install()


def bounds(graph, lower, upper):
    found = interval.bounds_of_values(graph, lower[None], upper[None])
    return tuple(graph.join_outputs({v: found[v][end] for v in graph.outputs})[0] for end in (0, 1))


check_domain(bounds, cases=[OperatorCase("Sign", Sign(), ((4,),))])

from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.sigmoidal import Tanh

x, y = Value("x", (3,)), Value("y", (3,))
tanh = Graph((x,), (y,), (Node(Tanh(), (x,), y, "tanh"),))
box = Box(torch.tensor([[-1.0, 0.5, -3.0]]), torch.tensor([[2.0, 0.6, -1.0]]))
spec = Specification.outputs(3, 1, torch.device("cpu"), torch.float32)
ends = torch.cat([torch.tanh(box.lower), -torch.tanh(box.upper)], dim=1)
for method in (tangent_crown, Halved(), next(iter(vnnverify_bound_methods())).load()):
    found = method.bound(tanh, box, spec)
    assert (found.lower <= ends + 1e-6).all() and (found.lower >= ends - 3).all(), method.name
assert found.record.parents and found.record.method == "halved"
print("all ran")
"""


EXTRAS = ("vnnverify_csv/", "vnnverify_sizes/")


def test_the_tutorial_prints_the_example(page, labelled) -> None:
    shown = {path: text for path, text in labelled(page(PAGE)).items() if not path.startswith(EXTRAS)}
    real = {
        str(path.relative_to(EXAMPLE)): path.read_text(encoding="utf-8")
        for path in EXAMPLE.rglob("*")
        if path.suffix in (".py", ".toml") and not {"build", "dist"} & set(path.parts)
    }
    assert shown == real


@pytest.mark.parametrize("name", [name for name in vars(hookspecs) if name.startswith("vnnverify_")])
def test_every_hook_has_a_section_with_an_example(page, name: str) -> None:
    section = page(PAGE).split(f"\n### `{name}`\n")[1].split("\n## ")[0]
    assert f"def {name}():" in section


@pytest.mark.parametrize("name", sorted(set(vnnverify.__all__) - {"__version__"}))
def test_every_public_name_is_explained(page, name: str) -> None:
    assert re.search(rf"`[^`\n]*\b{name}\b", page(PAGE) + page("docs/python.md"))


@pytest.mark.parametrize("name", sorted(testing.__all__))
def test_the_kit_is_described(page, name: str) -> None:
    assert re.search(rf"\b{name}\b", page(PAGE))


def test_every_check_is_listed_once_and_no_other(page) -> None:
    listed = re.findall(r"^\| `(check_\w+)` \|", page(PAGE), re.MULTILINE)
    assert sorted(listed) == sorted(check.__name__ for check in testing.BACKEND_CHECKS)


@pytest.mark.long
def test_the_code_runs(page, labelled, stranger) -> None:
    text = page(PAGE)
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    named = set(labelled(text).values())
    program = "\n".join([*(block for block in blocks if block not in named), AFTER])
    done = stranger({"pyproject.toml": PROJECT, "page.py": program})("page.py")
    assert done.stdout.strip() == "all ran", done.stderr[-3000:]


def test_the_writer_and_the_command_work(page, labelled, stranger, tmp_path: Path) -> None:
    extras = {path: text for path, text in labelled(page(PAGE)).items() if path.startswith(EXTRAS)}
    run = stranger({"pyproject.toml": PROJECT, **extras})
    tiny, spec = str(ROOT / "models_onnx" / "tiny.onnx"), str(ROOT / "specs" / "tiny_sat.vnnlib")
    assert run("-m", "vnnverify", "sizes", tiny).stdout == "2 inputs, 2 outputs\n"
    assert "count inputs and outputs" in run("-m", "vnnverify", "--help").stdout
    done = run("-m", "vnnverify", "verify", tiny, spec, "--result-file", "out.csv", "--format", "csv")
    assert done.returncode == 0, done.stderr
    row = (tmp_path / "out.csv").read_text().strip().split(",")
    assert row[:3] == [tiny, spec, "sat"] and float(row[3]) > 0


def test_names_of_shipped_backends_come_through_the_same_door(page) -> None:
    names = {point.name for point in entry_points(group="vnnverify")}
    assert {"bound-propagation", "falsification", "milp", "smoothing"} <= names
