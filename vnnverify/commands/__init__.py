# SPDX-License-Identifier: Apache-2.0
"""The command line: `vnnverify COMMAND`. One file per command; a command is imported when it is used."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any

_STARTED = time.monotonic()  # limits count from the start of the process

import click  # noqa: E402

from vnnverify import __version__  # noqa: E402
from vnnverify.errors import VnnverifyError  # noqa: E402

__all__ = ["app", "main"]

_COMMANDS = {
    "backends": "list the installed backends, or the options of one",
    "check": "replay the witness of a result in onnxruntime",
    "doctor": "versions, devices, plugins: what is there and what is missing",
    "show": "what a model is made of, and how each operator is bounded",
    "verify": "decide a property of a model: sat, unsat, unknown or timeout",
}


class _Commands(click.Group):
    """Built-in commands by file name, then those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *_plugin_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            command: click.Command = import_module(f"vnnverify.commands.{cmd_name}").command
            return command
        info = _plugin_commands().get(cmd_name)
        return None if info is None else info.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        more = {name: info.summary for name, info in _plugin_commands().items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**more, **_COMMANDS}.items()))


def _plugin_commands() -> dict[str, Any]:
    from vnnverify.plugins import load_plugins

    return load_plugins().commands


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="vnnverify")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Neural-network verification: an ONNX model, a VNN-LIB property, a checked verdict."""
    ctx.obj = {"started": _STARTED}


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script. Exit codes: 0 answered (also honestly undecided), 1 internal
    error, 2 bad input or usage, 130 interrupted."""
    try:
        code = app.main(args=arguments, prog_name="vnnverify", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("vnnverify: interrupted", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("vnnverify: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except VnnverifyError as error:
        click.echo(f"vnnverify: error: {error}", err=True)
        sys.exit(2)
