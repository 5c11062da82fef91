# SPDX-License-Identifier: Apache-2.0
"""The option `--network [NAME=]MODEL`."""

from __future__ import annotations

import re

from vnnverify.errors import OptionError
from vnnverify.inputs.declared import Networks

__all__ = ["read_networks"]

_NAMED = re.compile(r"(\w[\w.-]*)=(.+)", re.DOTALL | re.ASCII)


def read_networks(options: tuple[str, ...]) -> Networks | None:
    """One path, or paths by the names of networks; None if the option is not given.

    Raises:
        OptionError: one of several has no name, or a name comes twice.
    """
    if not options:
        return None
    paths: dict[str, str] = {}
    for option in options:
        named = _NAMED.fullmatch(option)
        if named is None:
            if len(options) == 1:
                return option
            raise OptionError(
                f"--network {option}: of several models each needs a name, as in --network f={option}"
            )
        if named[1] in paths:
            raise OptionError(f"--network {named[1]} is given twice; a network has one model")
        paths[named[1]] = named[2]
    return paths
