# SPDX-License-Identifier: Apache-2.0
"""All pages: links lead somewhere, what is named exists."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGE = ROOT / "vnnverify"


def without_code(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The ids that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_code(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", without_code(path)):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{path.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{path.name}: {link}"


def test_every_room_is_described_and_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("\n## Rooms\n")[1].split("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(.*?)`", row)
    }
    modules = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("_")}
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert named == modules | folders | {"plugins/"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_dotted_names_exist(path: Path) -> None:
    """Names such as `vnnverify.room.module.name` in running text, that is outside of code blocks, resolve."""
    for name in re.findall(r"`(vnnverify(?:\.\w+)+)`", without_code(path)):
        pkgutil.resolve_name(name)


def test_traits_are_those_of_the_code() -> None:
    from vnnverify.ir import Affine, Bilinear, Composite, Elementwise, Enclosed, Maximum, Op

    kinds = {kind.__name__ for kind in (Affine, Bilinear, Composite, Elementwise, Enclosed, Maximum)}
    assert kinds == {kind.__name__ for kind in Op.__subclasses__() if kind.__module__ == Op.__module__}
    for page in ("architecture.md", "operators.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert set(re.findall(r"^\| `([A-Z]\w+)` \|", text, re.MULTILINE)) & kinds == kinds
