# SPDX-License-Identifier: Apache-2.0
"""`vnnverify backends`: what is installed, without importing any of it."""

from __future__ import annotations

import dataclasses
import typing

import click

from vnnverify.plugin.manager import Plugins, load_plugins

__all__ = ["command"]


@click.command("backends")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the installed backends and broken plugins; with NAME, the options of that backend."""
    plugins = load_plugins()
    if name is None:
        _list(plugins)
    else:
        _describe(plugins, name)


def _list(plugins: Plugins) -> None:
    width = max((len(name) for name in plugins.backends), default=0)
    for name, info in sorted(plugins.backends.items()):
        summary = f"{info.summary}; takes black boxes" if info.opaque else info.summary
        click.echo(f"{name:<{width}}  {info.guarantee:<11}  {summary}  [{plugins.providers[name]}]")
    for failure in plugins.failures:
        click.echo(f"{failure.plugin}: broken plugin: {failure.reason}")


def _describe(plugins: Plugins, name: str) -> None:
    info = plugins.backend(name)
    kind = plugins.backend_class(name)
    click.echo(f"{name}: {info.summary}")
    abilities = f"; {info.abilities}" if info.abilities else ""
    click.echo(f"guarantee: {info.guarantee}; plugin: {plugins.providers[name]}{abilities}")
    types = typing.get_type_hints(kind.options_type)
    fields = dataclasses.fields(kind.options_type)
    for field in sorted(fields, key=lambda field: bool(field.metadata.get("advanced"))):
        kind_name = getattr(types[field.name], "__name__", str(types[field.name]))
        help_text = field.metadata.get("help", "")  # a plain dataclass field has none
        click.echo(f"  -o {field.name}={field.default!s:<10} {kind_name:<6} {help_text}".rstrip())
