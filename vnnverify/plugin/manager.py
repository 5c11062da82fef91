# SPDX-License-Identifier: Apache-2.0
"""Finds plugins and keeps what they offer. A broken plugin becomes a record, never a crash."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from vnnverify.errors import PluginError
from vnnverify.plugin import hookspecs
from vnnverify.plugin.hookspecs import API_VERSION, BackendInfo, BoundMethodInfo, CommandInfo, OperatorInfo
from vnnverify.suggestion import did_you_mean

if TYPE_CHECKING:
    from vnnverify.plugin.backend import Backend

__all__ = ["GROUP", "PluginFailure", "Plugins", "load_plugins"]

GROUP = "vnnverify"
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PluginFailure:
    """A plugin, or one of its records, that could not be used, and why."""

    plugin: str
    reason: str


@dataclass(slots=True)
class Plugins:
    """Everything the installed plugins offer, by name; and what went wrong with the rest."""

    backends: dict[str, BackendInfo] = field(default_factory=dict)
    methods: dict[str, BoundMethodInfo] = field(default_factory=dict)
    operators: list[OperatorInfo] = field(default_factory=list)
    rules: list[tuple[str, tuple[str, Callable[[], None]]]] = field(default_factory=list)  # plugin name first
    writers: list[Any] = field(default_factory=list)
    commands: dict[str, CommandInfo] = field(default_factory=dict)
    providers: dict[str, str] = field(default_factory=dict)  # backend or command name -> plugin name
    failures: list[PluginFailure] = field(default_factory=list)

    def backend(self, name: str) -> BackendInfo:
        """The backend called `name`.

        Raises:
            PluginError: nobody offers it; the message lists who does what instead.
        """
        if name in self.backends:
            return self.backends[name]
        for failure in self.failures:
            if failure.plugin.replace("-", "_") == name.replace("-", "_"):
                raise PluginError(f"backend {name!r}: its plugin is broken: {failure.reason}")
        known = ", ".join(sorted(self.backends)) or "none"
        raise PluginError(
            f"no backend called {name!r}{did_you_mean(name, self.backends)}; installed: {known}"
        )

    def backend_class(self, name: str) -> type[Backend[Any]]:
        """The class behind the backend called `name`, imported now.

        Raises:
            PluginError: nobody offers it, it cannot be imported, or it is no `Backend`.
        """
        info = self.backend(name)
        try:
            with redirect_stdout(sys.stderr):
                kind = info.load()
                from vnnverify.plugin.backend import Backend
        except (Exception, SystemExit) as error:  # fence: somebody else's code
            logger.debug("backend %s failed to load", name, exc_info=True)
            raise PluginError(f"backend {name!r} fails to load: {_describe(error)}") from error
        if not (isinstance(kind, type) and issubclass(kind, Backend)):
            raise PluginError(f"backend {name!r}: load() must return a subclass of Backend, not {kind!r:.80}")
        return kind

    def install_rules(self) -> None:
        """Add the rules of all plugins to the tables of their domains. What fails becomes a failure."""
        for name, (title, install) in self.rules:
            try:
                install()
            except Exception as error:  # fence: somebody else's code
                logger.debug("rules of plugin %s failed", name, exc_info=True)
                self.failures.append(PluginFailure(name, f"rules for {title!r}: {_describe(error)}"))


def load_plugins(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load each entry point, then each of its hooks, inside a fence of its own.

    `points` defaults to the installed entry points of the group `vnnverify`. pluggy's own loader is
    not used because it stops at the first plugin that fails. What a plugin prints goes to stderr, since
    stdout belongs to the verdict.
    """
    with redirect_stdout(sys.stderr):
        return _load(entry_points(group=GROUP) if points is None else points)


def _load(points: Iterable[EntryPoint]) -> Plugins:
    manager = pluggy.PluginManager("vnnverify")
    manager.add_hookspecs(hookspecs)
    found = Plugins()
    for point in points:
        try:
            _register(manager, point)
        except (Exception, SystemExit) as error:  # fence: somebody else's code
            logger.debug("plugin %s failed to load", point.name, exc_info=True)
            found.failures.append(PluginFailure(point.name, _describe(error)))
    for name, record in _records(manager, "vnnverify_backends", found):
        _add_backend(found, name, record)
    for name, record in _records(manager, "vnnverify_commands", found):
        if record.name in found.commands:
            found.failures.append(PluginFailure(name, f"command {record.name!r} is already taken"))
            continue
        found.commands[record.name] = record
    for name, record in _records(manager, "vnnverify_bound_methods", found):
        if record.name in found.methods or not _NAME.match(record.name):
            problem = f"bounding method {record.name!r} is already taken, or no name as [a-z][a-z0-9_-]*"
            found.failures.append(PluginFailure(name, problem))
            continue
        found.methods[record.name] = record
    found.operators.extend(record for _, record in _records(manager, "vnnverify_operators", found))
    found.rules.extend(_records(manager, "vnnverify_rules", found))
    found.writers.extend(record for _, record in _records(manager, "vnnverify_result_writers", found))
    return found


def _register(manager: pluggy.PluginManager, point: EntryPoint) -> None:
    """Register a plugin, or leave the manager as it was.

    Raises:
        PluginError: another plugin goes by that name, or the same one by another.
    """
    if manager.has_plugin(point.name):
        raise PluginError(f"another plugin is already called {point.name!r}; rename the entry point")
    plugin = point.load()
    if manager.is_registered(plugin):
        raise PluginError(f"it is already installed as plugin {manager.get_name(plugin)!r}")
    try:
        manager.register(plugin, name=point.name)
        manager.check_pending()
    except Exception:
        manager.unregister(name=point.name)
        raise


def _records(manager: pluggy.PluginManager, hook: str, found: Plugins) -> Iterator[tuple[str, Any]]:
    what, fits = _EXPECTED[hook]
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        name = implementation.plugin_name
        try:
            records = list(implementation.function())
        except (Exception, SystemExit) as error:  # fence: somebody else's code
            logger.debug("hook %s of plugin %s failed", hook, name, exc_info=True)
            found.failures.append(PluginFailure(name, f"{hook}: {_describe(error)}"))
            continue
        for record in records:
            if fits(record):
                yield name, record
            else:
                problem = f"{hook} must yield {what}, not {type(record).__name__}"
                found.failures.append(PluginFailure(name, problem))


def _is_rule(record: Any) -> bool:
    return (
        isinstance(record, tuple) and len(record) == 2 and isinstance(record[0], str) and callable(record[1])
    )


def _is_writer(record: Any) -> bool:
    return isinstance(getattr(record, "name", None), str) and callable(getattr(record, "write", None))


_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "vnnverify_backends": ("BackendInfo", lambda record: isinstance(record, BackendInfo)),
    "vnnverify_bound_methods": ("BoundMethodInfo", lambda record: isinstance(record, BoundMethodInfo)),
    "vnnverify_commands": ("CommandInfo", lambda record: isinstance(record, CommandInfo)),
    "vnnverify_operators": ("OperatorInfo", lambda record: isinstance(record, OperatorInfo)),
    "vnnverify_result_writers": ("objects with `name` and `write`", _is_writer),
    "vnnverify_rules": ("pairs (domain name, function)", _is_rule),
}


def _add_backend(found: Plugins, plugin: str, info: BackendInfo) -> None:
    if not isinstance(info.name, str) or not _NAME.match(info.name):
        problem = f"backend name {info.name!r} must match [a-z][a-z0-9_-]*"
    elif info.api_version != API_VERSION:
        problem = f"backend {info.name!r} speaks plugin API {info.api_version}, this vnnverify {API_VERSION}"
    elif info.name in found.backends:
        problem = f"backend {info.name!r} is already provided by plugin {found.providers[info.name]!r}"
    else:
        found.backends[info.name] = info
        found.providers[info.name] = plugin
        return
    found.failures.append(PluginFailure(plugin, problem))


def _describe(error: BaseException) -> str:
    """The error on one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 300 else f"{text[:300]}…"
