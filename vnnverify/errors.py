# SPDX-License-Identifier: Apache-2.0
"""The exceptions a user may meet. Each message says what is wrong, where, and what to do about it.

Bad input and misuse raise; an undecided query does not: that is an `Outcome` with a reason.
The command line turns any `VnnverifyError` into one line on stderr and exit code 2.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "FileError",
    "ModelError",
    "OptionError",
    "PluginError",
    "SpecError",
    "UnsupportedModelError",
    "UnsupportedOperator",
    "VnnverifyError",
]


class VnnverifyError(Exception):
    """Base of every expected error."""


class FileError(VnnverifyError):
    """A model or property file cannot be read."""


class ModelError(VnnverifyError):
    """The ONNX model is malformed, unsafe to read, or does not fit the property."""


class UnsupportedModelError(ModelError):
    """The ONNX model is valid, but holds an operator that the importer cannot read."""


class SpecError(VnnverifyError):
    """The property is malformed. `line` and `column` count from 1; 0 means the file as a whole."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0, source: str = "") -> None:
        place = ":".join(part for part in (source, str(line or ""), str(column or "")) if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.line = line
        self.column = column


class OptionError(VnnverifyError):
    """An option is unknown, or its value is out of range."""


class PluginError(VnnverifyError):
    """A plugin is missing or broken."""


class BackendError(VnnverifyError):
    """A backend failed while deciding a query."""


class UnsupportedOperator(VnnverifyError):
    """A domain has no rule for an operator. Backends turn it into `unknown` with this reason."""

    def __init__(self, node: str, op: str, domain: str) -> None:
        super().__init__(f"node {node!r}: {domain} cannot bound operator {op}")
        self.node = node
        self.op = op
        self.domain = domain
