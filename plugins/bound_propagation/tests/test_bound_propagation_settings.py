# SPDX-License-Identifier: Apache-2.0
"""Every number that steers the search is an option, and none is hidden in a module."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest
import vnnverify_bound_propagation
from vnnverify_bound_propagation.backends.bound_propagation import BoundPropagation
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify.bounds.intermediate.settings import RefinementSettings
from vnnverify.errors import OptionError

PACKAGE = Path(vnnverify_bound_propagation.__file__).parent
TRUE_CONSTANTS = {
    "SLOPE_LEVELS",  # how slopes are stored
    "PROVED", "BYTES",  # a positive number; the size of what is stored
    "SMALLEST",  # no division by zero
}  # fmt: skip


def test_options_come_as_they_are_typed() -> None:
    given = {"memory": "1GiB", "root_rounds": "plain,3", "patch_rounds": "1:2", "cell_mixes": "0.5,2"}
    settings = BoundPropagation.parse_options({**given, "dual_rate": "0.25"})
    assert isinstance(settings, Settings) and isinstance(settings, RefinementSettings)
    assert settings.bytes == 1 << 30 and settings.dual_rate == 0.25
    assert settings.cases_of_rounds() == [None, 3]
    assert settings.steps_and_splits_of_rounds() == [(1, 2)]
    assert settings.mixes() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("key", "text"),
    [("root_rounds", "plain;2"), ("patch_rounds", "1"), ("cell_mixes", ""), ("plain_share", "2")],
)
def test_what_cannot_be_read_is_refused_by_name(key: str, text: str) -> None:
    with pytest.raises(OptionError, match=f"option {key}="):
        BoundPropagation.parse_options({key: text})


def test_no_number_that_steers_is_hidden_in_a_module() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            if any(isinstance(n, ast.Constant) and isinstance(n.value, int | float) for n in ast.walk(node)):
                found |= {name for name in names if name.isupper()}
    assert found <= TRUE_CONSTANTS


def test_every_setting_is_read_somewhere() -> None:
    core = PACKAGE.parents[2] / "vnnverify" / "bounds"
    files = [*PACKAGE.rglob("*.py"), *core.rglob("*.py")]
    text = "\n".join(p.read_text(encoding="utf-8") for p in files)
    unread = {f.name for f in dataclasses.fields(Settings) if f".{f.name}" not in text}
    assert unread == set()
