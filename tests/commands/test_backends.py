# SPDX-License-Identifier: Apache-2.0
"""`vnnverify backends` lists what there is, with its guarantee and its options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

BACKENDS = {
    "bound_propagation": "real",
    "falsification": "real",
    "milp": "real",
    "smoothing": "statistical",
    "zonotope": "real",
}


def test_every_backend_has_a_line(inside: Callable[..., Any]) -> None:
    done = inside("backends")
    assert (done.code, done.stderr) == (0, "")
    rows = [re.fullmatch(r"(\S+) +(\S+) +(\S.*\S)  \[(\S+)\]", line) for line in done.stdout.splitlines()]
    found = {row[1]: row[2] for row in rows if row is not None}
    assert {name: found.get(name) for name in BACKENDS} == BACKENDS


@pytest.mark.parametrize("name", BACKENDS)
def test_options_are_listed_with_default_type_and_help(inside: Callable[..., Any], name: str) -> None:
    done = inside("backends", name)
    assert (done.code, done.stderr) == (0, "")
    first, second, *options = done.stdout.splitlines()
    assert first.startswith(f"{name}: ")
    assert second.startswith(f"guarantee: {BACKENDS[name]}; plugin: ")
    assert options
    for line in options:
        assert re.fullmatch(r"  -o [a-z0-9_]+=\S+ +(int|float|bool|str) +\S.{10,}", line), line
