# SPDX-License-Identifier: Apache-2.0
"""What is written down about a run as a whole, before its first instance: `run.json`."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vnnverify import __version__
from vnnverify.errors import SpecError
from vnnverify.process.condition import cores

__all__ = ["SCHEMA", "Header", "machine", "now", "versions"]

SCHEMA = 1
_PACKAGES = ("torch", "onnx", "onnxruntime-gpu", "onnxruntime", "numpy", "highspy")


@dataclass(frozen=True, slots=True)
class Header:
    """How a run was started. `options` hold all that may change a verdict; a resumed run has the same."""

    lists: tuple[str, ...]  # the files with the instances, absolute
    instances: int  # how many this run is to answer
    options: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str = ""  # UTC, ISO 8601

    def to_json(self) -> str:
        """The header as an indented JSON text."""
        return json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "") -> Header:
        """The header that `to_json` wrote.

        Raises:
            SpecError: the text is none, or of another schema.
        """
        try:
            given = json.loads(text)
            if given["schema"] != SCHEMA:
                raise SpecError(f"run schema {given['schema']}, this vnnverify reads {SCHEMA}", source=source)
            record = {f.name: given[f.name] for f in dataclasses.fields(cls) if f.name in given}
            return cls(**{**record, "lists": tuple(record["lists"])})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SpecError(f"not the header of a run ({error})", source=source) from None


def now() -> str:
    """This moment in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def machine() -> dict[str, Any]:
    """This computer, as far as it matters to times: name, processor, cores this process may use, bytes of
    memory."""
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "memory": _memory(),
    }


def versions() -> dict[str, str]:
    """The versions of what computes, without importing it."""
    found = {"vnnverify": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
