# SPDX-License-Identifier: Apache-2.0
"""The command line: `vnnverify COMMAND`. One file per command; a command is imported when it is used."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any, NoReturn

_STARTED = time.monotonic()  # the limits of a console run count from the start of the process

import click  # noqa: E402

from vnnverify import __version__  # noqa: E402
from vnnverify.errors import PluginError, VnnverifyError  # noqa: E402
from vnnverify.suggestion import did_you_mean  # noqa: E402

__all__ = ["app", "main"]

_COMMANDS = {
    "backends": "list the installed backends, or the options of one",
    "bench": "decide whole suites of instances, nothing lost if it is killed",
    "check": "replay the witness of a result in onnxruntime",
    "doctor": "versions, devices, plugins: what is there and what is missing",
    "merge": "join the parts of a suite that was decided in shards",
    "report": "one HTML page about whole runs",
    "score": "points by the competition's rules, for runs of any tool",
    "show": "what a model is made of, and how each operator is bounded",
    "slice": "the smallest part of a model that still fails, for a bug report",
    "supports": "capabilities, as the VNN-LIB 2.0 standard asks for them",
    "translate": "a VNN-LIB 1.0 property as VNN-LIB 2.0",
    "verify": "decide a property of a model: sat, unsat, unknown or timeout",
}

_ALIASES = {"capabilities": "supports"}  # the standard's text uses both


class _Interrupted(Exception):
    """Ctrl-C, past click, which would print a line of its own."""


class _Commands(click.Group):
    """Built-in commands by file name, then those of plugins."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Interrupted from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names.

        Raises:
            UsageError: there is none; the message says which may be meant.
        """
        name = args[0]
        if name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        if name.removesuffix(".gz").endswith((".onnx", ".vnnlib")):
            ctx.fail(f"{name} is a file, not a command; did you mean 'vnnverify verify {' '.join(args)}'?")
        known = [*self.list_commands(ctx), *_ALIASES]
        return ctx.fail(f"no command called {name!r}{did_you_mean(name, known)}")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *_plugin_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name or alias, imported only now."""
        cmd_name = _ALIASES.get(cmd_name, cmd_name)
        if cmd_name in _COMMANDS:
            command: click.Command = import_module(f"vnnverify.commands.{cmd_name}").command
            return command
        info = _plugin_commands().get(cmd_name)
        if info is None:
            return None
        try:
            loaded: click.Command = info.load()
        except Exception as error:  # fence: somebody else's code
            reason = f"{type(error).__name__}: {error}"
            raise PluginError(f"command {cmd_name!r} fails to load: {reason}") from error
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        more = {name: info.summary for name, info in _plugin_commands().items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**more, **_COMMANDS}.items()))


def _plugin_commands() -> dict[str, Any]:
    from vnnverify.plugin.manager import load_plugins

    return load_plugins().commands


def _print_name(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo("vnnverify")
        ctx.exit()


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="%(version)s")
@click.option(
    "--name", is_flag=True, is_eager=True, expose_value=False, callback=_print_name,
    help="Show the verifier's name and exit.",
)  # fmt: skip
def app() -> None:
    """Neural-network verification: an ONNX model, a VNN-LIB property, a checked verdict."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script. Exit codes: 0 answered (also honestly undecided), 1 internal
    error, 2 bad input or usage (one line on stderr), 130 interrupted.

    Args:
        arguments: the words after the program's name; default: those of this process.
    """
    started = _STARTED if arguments is None else time.monotonic()
    try:
        code = app.main(
            args=arguments, prog_name="vnnverify", standalone_mode=False, obj={"started": started}
        )
    except (_Interrupted, click.exceptions.Abort, KeyboardInterrupt):
        _leave(130, "interrupted")
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        _leave(2, f"error: {_usage_error(error)}")
    except VnnverifyError as error:
        _leave(2, f"error: {error}")
    sys.exit(code if isinstance(code, int) else 0)


def _leave(code: int, message: str) -> NoReturn:
    """End the process with one line on stderr."""
    click.echo("vnnverify: " + " ".join(message.splitlines()), err=True)
    sys.exit(code)


def _usage_error(error: click.ClickException) -> str:
    """What is wrong with the command line, and where its help is."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = "vnnverify" if context is None else context.command_path
    return f"{error.format_message().rstrip('.')}; see `{path} --help`"
