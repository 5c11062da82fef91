# SPDX-License-Identifier: Apache-2.0
"""Options: fields of frozen dataclasses with a default, a meaning and limits, and their values as text."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from vnnverify.errors import OptionError
from vnnverify.sizes import MIB, parse_size
from vnnverify.suggestion import did_you_mean

__all__ = ["option", "parsed", "setting"]


def option(
    default: Any,
    *,
    help: str,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    mebibytes: bool = False,
    advanced: bool = False,
) -> Any:
    """A field of an options dataclass: `samples: int = option(64, help="…", minimum=1)`.

    int, float, str and bool fields can be set from the command line with `-o name=value`. An int field of
    `mebibytes` may be given with another unit there, as in `-o memory=4GiB`. An `advanced` one steers how
    something is done, for experiments; `vnnverify backends NAME` lists it last.
    """
    meta = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "mebibytes": mebibytes,
        "advanced": advanced,
    }
    return field(default=default, metadata=meta)


setting = functools.partial(option, advanced=True)
"""An advanced option."""


def parsed(kind: type, given: Mapping[str, str]) -> Any:
    """An options object of this kind from texts, as on the command line.

    Raises:
        OptionError: an unknown key, or a value of the wrong type or out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}
    types = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, text in given.items():
        if key not in fields:
            plain = sorted(name for name, f in fields.items() if not f.metadata.get("advanced"))
            known = ", ".join(plain) or "none"
            meant = did_you_mean(key, fields)
            raise OptionError(f"unknown option {key!r}{meant}; this backend has: {known}")
        values[key] = _parse_value(key, text, types[key], fields[key].metadata)
    return kind(**values)


_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _parse_value(key: str, text: str, kind: type, meta: Mapping[str, Any]) -> Any:
    if kind not in (bool, int, float, str):
        raise OptionError(f"option {key}: cannot be given as text, only by a program")
    sized = meta.get("mebibytes", False) and not text.strip().isdecimal()
    try:
        if sized:
            value: Any = parse_size(text) // MIB
        else:
            value = _WORDS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        wanted = "a number of MiB or a size, as in 4GiB" if sized else kind.__name__
        raise OptionError(f"option {key}={text!r}: expected {wanted}") from None
    if meta.get("minimum") is not None and not value >= meta["minimum"]:
        raise OptionError(f"option {key}={text}: must be at least {meta['minimum']}")
    if meta.get("maximum") is not None and not value <= meta["maximum"]:
        raise OptionError(f"option {key}={text}: must be at most {meta['maximum']}")
    if meta.get("choices") and value not in meta["choices"]:
        raise OptionError(f"option {key}={text}: choose one of {', '.join(meta['choices'])}")
    return value
