# SPDX-License-Identifier: Apache-2.0
"""Options from texts; advanced ones are known, but not shown to who mistypes a name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vnnverify.errors import OptionError
from vnnverify.plugin.options import option, parsed, setting


@dataclass(frozen=True)
class Ascent:
    """Of some ascent."""

    ascent_rate: float = setting(0.5, help="first step size", minimum=0)


@dataclass(frozen=True)
class Beads(Ascent):
    """Of a backend that has one."""

    memory: int = option(64, help="MiB that beads may take", minimum=1, mebibytes=True)


def test_settings_that_are_inherited_are_options_too() -> None:
    found = parsed(Beads, {"memory": "1GiB", "ascent_rate": "0.25"})
    assert found == Beads(memory=1024, ascent_rate=0.25)
    with pytest.raises(OptionError, match="option ascent_rate=-1: must be at least 0"):
        parsed(Beads, {"ascent_rate": "-1"})


def test_who_mistypes_a_name_is_told_the_plain_ones() -> None:
    with pytest.raises(OptionError, match=r"unknown option 'threads'; this backend has: memory$"):
        parsed(Beads, {"threads": "2"})
    with pytest.raises(OptionError, match="did you mean 'ascent_rate'"):
        parsed(Beads, {"ascent_rat": "2"})
