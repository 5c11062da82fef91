# SPDX-License-Identifier: Apache-2.0
"""Makes instances of backends with the options that were given for them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from vnnverify.errors import OptionError, PluginError
from vnnverify.plugin.backend import Backend
from vnnverify.plugin.manager import Plugins
from vnnverify.suggestion import did_you_mean

__all__ = ["load_backends"]

logger = logging.getLogger(__name__)


def load_backends(
    plugins: Plugins, names: Sequence[str], options: Mapping[str, str], *, required: bool = True
) -> dict[str, Backend[Any]]:
    """Instances of the named backends with their options.

    Args:
        options: texts under `key` (any backend that has it) or `backend.key`.
        required: whether each of them was asked for by name; otherwise one that cannot be imported is
            left out, with a warning.

    Raises:
        PluginError: a required backend is missing or broken.
        OptionError: an option is unknown to all of the backends, or its value is out of range.
    """
    ordered = sorted(options.items(), key=lambda pair: "." in pair[0])  # `backend.key` overrides `key`
    loaded: dict[str, Backend[Any]] = {}
    used: set[str] = set()
    known: set[str] = set()
    plain: set[str] = set()
    for name in dict.fromkeys(names):
        try:
            kind = plugins.backend_class(name)
            fields = {f.name: f for f in dataclasses.fields(kind.options_type)}
            known |= {key for field in fields for key in (field, f"{name}.{field}")}
            plain |= {key for key, field in fields.items() if not field.metadata.get("advanced")}
            given: dict[str, str] = {}
            for key, text in ordered:
                owner, _, short = key.rpartition(".")
                if owner in ("", name) and (short in fields or owner == name):
                    given[short] = text
                    used.add(key)
            loaded[name] = _make(name, kind, kind.parse_options(given))
        except PluginError as error:
            if required:
                raise
            logger.warning("%s; going on without it", error)
    unused = sorted(set(options) - used)
    if unused:
        names_known = ", ".join(sorted(plain)) or "none"
        meant = did_you_mean(unused[0], known)
        raise OptionError(
            f"unknown option {unused[0]!r}{meant}; options of {', '.join(loaded) or 'nobody'}: {names_known}"
        )
    return loaded


def _make(name: str, kind: type[Backend[Any]], options: Any) -> Backend[Any]:
    try:
        return kind(options)
    except Exception as error:  # fence: a backend is somebody else's code
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PluginError(f"backend {name!r} fails to load: {reason}") from error
