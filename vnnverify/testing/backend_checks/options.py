# SPDX-License-Identifier: Apache-2.0
"""Options are frozen, defaulted and explained, and bad ones are refused by name."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

from vnnverify.errors import OptionError
from vnnverify.plugin.backend import Backend
from vnnverify.testing.records import CheckFailure, demand
from vnnverify.testing.subject import Settings

__all__ = ["check_options"]


def check_options(backend: Backend[Any], settings: Settings) -> None:
    """Each option: a default within its own limits, a help text, a plain type; unknown ones are refused."""
    kind: Any = backend.options_type
    demand(dataclasses.is_dataclass(kind), f"{kind.__name__} must be a dataclass")
    demand(kind.__dataclass_params__.frozen, f"{kind.__name__} must be frozen")
    demand(isinstance(backend.options, kind), f"options must be a {kind.__name__}")
    types = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name = field.name
        demand(field.default is not dataclasses.MISSING, f"option {name} has no default")
        demand(bool(field.metadata.get("help")), f"option {name} has no help text; use vnnverify.option")
        demand(types[name] in (int, float, str, bool), f"option {name} must be int, float, str or bool")
        demand(
            _parsed(backend, name, field.default) == field.default,
            f"option {name}: its default does not survive being written out",
        )
        _refuses(backend, name, _bad_values(types[name], field.metadata))
    _refuses(backend, "no_such_option", ["1"])


def _parsed(backend: Backend[Any], name: str, default: object) -> object:
    try:
        return getattr(type(backend).parse_options({name: str(default)}), name)
    except OptionError as error:
        raise CheckFailure(f"option {name}: its own default is refused: {error}") from error


def _bad_values(kind: type, meta: Any) -> list[str]:
    bad = [] if kind is str else ["perhaps"]
    if meta.get("minimum") is not None:
        bad.append(str(kind(meta["minimum"] - 1)))
    if meta.get("maximum") is not None:
        bad.append(str(kind(meta["maximum"] + 1)))
    if meta.get("choices"):
        bad.append("none of these")
    return bad


def _refuses(backend: Backend[Any], name: str, values: list[str]) -> None:
    for value in values:
        try:
            type(backend).parse_options({name: value})
        except OptionError as error:
            demand(name in str(error), f"the refusal of {name}={value} does not name the option: {error}")
        else:
            raise CheckFailure(f"option {name}={value} is accepted")
