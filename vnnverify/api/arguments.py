# SPDX-License-Identifier: Apache-2.0
"""The keywords of `vnnverify.verify`, checked before anything is started."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from vnnverify.errors import OptionError
from vnnverify.process.job import LARGEST_SEED, parse_device

__all__ = ["check_keywords", "named_backends", "written_options"]

DTYPES = ("float32", "float64")


def check_keywords(*, timeout: Any, device: Any, dtype: Any, seed: Any, workers: Any) -> None:
    """Refuse what is no time limit, device, type, seed or number of workers.

    Raises:
        OptionError: it names the keyword and what it takes.
    """
    if not isinstance(timeout, Real) or not float(timeout) >= 0.0:
        raise OptionError(f"timeout={timeout!r}: expected seconds, zero or more; math.inf for no limit")
    parse_device(str(device), "device")
    if dtype not in DTYPES:
        raise OptionError(f"dtype={dtype!r}: expected one of the texts {', '.join(DTYPES)}")
    for name, number, most in (("seed", seed, LARGEST_SEED), ("workers", workers, math.inf)):
        if not isinstance(number, Integral) or not 0 <= int(number) <= most:
            raise OptionError(f"{name}={number!r}: expected a whole number, zero or more")


def named_backends(backend: Any) -> tuple[str, ...]:
    """The backends of "a,b" or a list of names.

    Raises:
        OptionError: it is neither.
    """
    names = backend.split(",") if isinstance(backend, str) else backend or ()
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise OptionError(f"backend={backend!r}: expected names, as 'one,other' or ['one', 'other']")
    return tuple(name.strip() for name in names if name.strip())


def written_options(options: Any) -> dict[str, str]:
    """Options of backends as text.

    Raises:
        OptionError: they are no mapping.
    """
    if options is not None and not isinstance(options, Mapping):
        raise OptionError(f"options={options!r}: expected a dict, as {{'backend.option': 1e-7}}")
    return {str(key): str(value) for key, value in (options or {}).items()}
