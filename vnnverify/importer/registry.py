# SPDX-License-Identifier: Apache-2.0
"""Which function reads which ONNX operator, from which opset on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vnnverify.importer.builder import NodeReader
from vnnverify.plugin.hookspecs import OperatorInfo

__all__ = ["find_reader", "reads", "supported_operators"]

_READERS: dict[tuple[str, str], list[tuple[int, NodeReader]]] = {}


def reads(*op_types: str, since: int = 1, domain: str = "") -> Callable[[NodeReader], NodeReader]:
    """Decorator: the function reads these operators of a domain, from opset `since` on."""

    def register(function: NodeReader) -> NodeReader:
        for op_type in op_types:
            versions = _READERS.setdefault((domain, op_type), [])
            if any(version == since for version, _ in versions):
                raise ValueError(f"{op_type} since opset {since} already has a reader")
            versions.append((since, function))
        return function

    return register


def find_reader(
    domain: str, op_type: str, opset: int, more: Iterable[OperatorInfo] = ()
) -> NodeReader | None:
    """The newest reader that is not newer than `opset`; readers of plugins win over built-in ones."""
    domain = "" if domain == "ai.onnx" else domain
    own = [
        (info.since_version, info)
        for info in more
        if (info.domain, info.op_type) == (domain, op_type) and info.since_version <= opset
    ]
    if own:
        return max(own, key=lambda pair: pair[0])[1].load()
    fitting = [(since, reader) for since, reader in _READERS.get((domain, op_type), []) if since <= opset]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def supported_operators(domain: str = "") -> list[str]:
    """Names of the built-in operators of a domain, sorted; ONNX's own has no name."""
    return sorted(op_type for of, op_type in _READERS if of == domain)
