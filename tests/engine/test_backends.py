# SPDX-License-Identifier: Apache-2.0
"""Backends are made with the options that are meant for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from vnnverify import Backend, BackendInfo, Context, NoOptions, Outcome, Query, option
from vnnverify.engine.backends import load_backends
from vnnverify.errors import OptionError, PluginError
from vnnverify.plugin.manager import Plugins


@dataclass(frozen=True, slots=True)
class Wires:
    count: int = option(4, help="of beads", minimum=1)
    length: float = option(1.0, help="of a wire")


@dataclass(frozen=True, slots=True)
class Beads:
    count: int = option(9, help="of beads", minimum=1)


class Wired(Backend[Wires]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("wires")


class Beaded(Backend[Beads]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("beads")


class Fragile(Backend[NoOptions]):
    def __init__(self, options: NoOptions | None = None) -> None:
        raise RuntimeError("no licence")

    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("never made")


def missing() -> type[Backend[Any]]:
    raise ImportError("no module named lathe")


PLUGINS = Plugins(
    backends={
        name: BackendInfo(name=name, summary="", load=load)
        for name, load in {
            "wired": lambda: Wired,
            "beaded": lambda: Beaded,
            "lathe": missing,
            "fragile": lambda: Fragile,
        }.items()
    }
)


@pytest.mark.parametrize(
    ("options", "wired", "beaded"),
    [
        ({}, Wires(), Beads()),
        ({"count": "2"}, Wires(2), Beads(2)),
        ({"beaded.count": "2", "length": "3"}, Wires(4, 3.0), Beads(2)),
        ({"beaded.count": "2", "count": "3"}, Wires(3), Beads(2)),
        ({"count": "3", "beaded.count": "2"}, Wires(3), Beads(2)),
    ],
)
def test_options_reach_those_they_are_meant_for(options: dict[str, str], wired: Wires, beaded: Beads) -> None:
    loaded = load_backends(PLUGINS, ["wired", "beaded", "wired"], options)
    assert list(loaded) == ["wired", "beaded"]
    assert loaded["wired"].options == wired
    assert loaded["beaded"].options == beaded


THEIRS = "; options of wired, beaded: count, length"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, f"unknown option 'colour'{THEIRS}"),
        ({"lenght": "3"}, f"unknown option 'lenght'; did you mean 'length'?{THEIRS}"),
        ({"wird.count": "3"}, f"unknown option 'wird.count'; did you mean 'wired.count'?{THEIRS}"),
        ({"lathe.speed": "3"}, f"unknown option 'lathe.speed'{THEIRS}"),
        ({"beaded.length": "3"}, "unknown option 'length'; this backend has: count"),
        ({"count": "0"}, "option count=0: must be at least 1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        load_backends(PLUGINS, ["wired", "beaded"], options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lathe", "backend 'lathe' fails to load: ImportError: no module named lathe"),
        ("fragile", "backend 'fragile' fails to load: RuntimeError: no licence"),
    ],
)
def test_broken_backend_is_fatal_only_if_asked_for(
    name: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    names: Sequence[str] = [name, "beaded"]
    with pytest.raises(PluginError) as caught:
        load_backends(PLUGINS, names, {})
    assert str(caught.value) == message
    with caplog.at_level(logging.WARNING):
        loaded = load_backends(PLUGINS, names, {}, required=False)
    assert list(loaded) == ["beaded"]
    assert f"{message}; going on without it" in caplog.text
