# SPDX-License-Identifier: Apache-2.0
"""`vnnverify verify`: the verdict alone on stdout's first line, everything else on stderr."""

from __future__ import annotations

import sys
from typing import Any

import click

from vnnverify.commands.networks import read_networks
from vnnverify.errors import OptionError
from vnnverify.inputs.declared import Networks
from vnnverify.inputs.dialect import equal_networks, is_second_file
from vnnverify.inputs.roles import MODEL, check_roles, role_of
from vnnverify.plugin.manager import load_plugins
from vnnverify.process.job import LARGEST_SEED, Job, parse_device
from vnnverify.process.supervisor import supervise
from vnnverify.results import Report, ResultWriter, find_writer, require_writable, write_file
from vnnverify.results.vnnlib2 import Vnnlib2Writer
from vnnverify.verdict import Verdict

__all__ = ["command", "parse_options"]

DEFAULT_TIMEOUT = 300.0


def _limit(ctx: click.Context, param: click.Parameter, seconds: float) -> float:
    """A time limit; `inf` is none."""
    if not seconds >= 0.0:  # NaN too
        raise click.BadParameter(f"{seconds} is not a time limit; give seconds, zero or more", ctx, param)
    return seconds


@click.command("verify")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(readable=False), metavar="QUERY | MODEL QUERY"
)
@click.option(
    "--network", "networks", multiple=True, type=click.Path(readable=False), metavar="[NAME=]MODEL",
    help="The ONNX model (.gz is fine); one for each network of a VNN-LIB 2.0 text.",
)  # fmt: skip
@click.option(
    "--timeout", type=float, callback=_limit, default=DEFAULT_TIMEOUT, show_default=True,
    metavar="SECONDS", help="Wall time in all, start-up included.",
)  # fmt: skip
@click.option(
    "--backend", "backends", default="", metavar="NAME[,NAME]", help="Backends in turn [default: automatic]."
)
@click.option(
    "-o", "options", multiple=True, metavar="KEY=VALUE", help="Option of a backend: key or backend.key."
)
@click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where to compute."
)
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True,
    help="Float type of the search; proofs account for its rounding.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, LARGEST_SEED), default=0, show_default=True, metavar="INTEGER",
    help="Seed of every random choice.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(0), default=0, metavar="N",
    help="Processes that share a long search [default: one for each core].",
)  # fmt: skip
@click.option(
    "--strict", "--strict-types", "strict", is_flag=True,
    help="Keep to the letter of VNN-LIB 2.0: refuse other words and shapes, and texts about floats.",
)  # fmt: skip
@click.option(
    "--result-file",
    type=click.Path(readable=False),
    metavar="FILE",
    help="Also write the result to FILE, atomically.",
)
@click.option("--format", "style", metavar="NAME", help="Format of FILE [default: that of stdout].")
@click.option(
    "--serialise-assignments", "--assignments", "folder", metavar="FOLDER",
    help="Write the witness of a VNN-LIB 2.0 text to FOLDER, a tensor a file, instead of to stdout.",
)  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line instead of the verdict and witness."
)
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Say what is going on, and why a query stays undecided (-vv: in detail).",
)
@click.pass_context
def command(ctx: click.Context, /, files: tuple[str, ...], networks: tuple[str, ...], **given: Any) -> int:
    """Decide whether MODEL has an input for which the VNN-LIB text QUERY holds.

    QUERY states what must not happen: `unsat` means the property holds, `sat` comes with a witness
    that onnxruntime has confirmed. Exit code 0 for any verdict but `error`.

    \b
    vnnverify verify specs/tiny_sat.vnnlib --network models_onnx/tiny.onnx
    vnnverify verify models_onnx/tiny.onnx specs/tiny_sat.vnnlib --timeout 60
    """
    model, query = _files(files, networks)
    second = is_second_file(query)
    stdout = "vnnlib2" if second else "vnncomp"
    plugins = load_plugins()
    names = tuple(name.strip() for name in given["backends"].split(",") if name.strip())
    for name in names:
        plugins.backend(name)
    writer = find_writer(given["style"] or stdout, plugins.writers)
    if given["result_file"]:
        require_writable(given["result_file"])
    job = Job(
        model=model,
        query=query,
        seconds=given["timeout"],
        backends=names,
        options=parse_options(given["options"]),
        device=parse_device(given["device"], "--device"),
        dtype=given["dtype"],
        seed=given["seed"],
        verbosity=given["verbose"],
        strict=given["strict"],
        explain=given["verbose"] > 0 or given["as_json"],
        workers=given["workers"],
    )
    report = _supervised(job, ctx.obj["started"], live=sys.stderr.isatty() and not job.explain)
    folder = given["folder"] if second and report.witness is not None else None
    try:
        if folder is not None:
            _serialise(report, folder)
        if given["result_file"]:
            write_file(given["result_file"], writer.write(report))
    finally:
        style = "json" if given["as_json"] else stdout
        _print(report, Vnnlib2Writer(assignment=False) if folder else find_writer(style))
    return 1 if report.verdict is Verdict.ERROR else 0


def _supervised(job: Job, started: float, *, live: bool) -> Report:
    """The report on a job; a `live` one shows how it gets on."""
    if not live:
        return supervise(job, job.seconds, started)
    from vnnverify.commands.progress import progress_line

    with progress_line(job.seconds, started) as (tell, stderr):
        return supervise(job, job.seconds, started, progress=tell, stderr=stderr)


def _files(files: tuple[str, ...], options: tuple[str, ...]) -> tuple[Networks, str]:
    """Models and query, from either way of naming them."""
    networks = read_networks(options)
    if networks is None and len(files) == 2:
        check_roles(files[0], files[1], "vnnverify verify {model} {query}")
        return files[0], files[1]
    if networks is not None and len(files) == 1:
        check_roles(networks, files[0], "vnnverify verify {query} --network {model}")
        if not isinstance(networks, str) and len(networks) == 1 and not is_second_file(files[0]):
            (networks,) = networks.values()  # VNN-LIB 1.0 has no names
        for name, other in () if isinstance(networks, str) else equal_networks(files[0]).items():
            if name in networks:
                raise OptionError(
                    f"network {name} is equal-to {other} and takes its model; drop --network {name}=…"
                )
        return networks, files[0]
    if len(files) == 1 and role_of(files[0]) == MODEL:
        raise OptionError(
            f"{files[0]} is a model; which property? write vnnverify verify {files[0]} QUERY.vnnlib"
        )
    if len(files) == 1:
        raise OptionError(f"no model given for {files[0]}; add --network MODEL.onnx")
    raise OptionError("give one QUERY and --network MODEL, or MODEL and QUERY")


def parse_options(pairs: tuple[str, ...]) -> dict[str, str]:
    """What the `-o` options say.

    Raises:
        OptionError: one is not KEY=VALUE.
    """
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise OptionError(f"-o {pair}: expected KEY=VALUE")
        options[key] = value
    return options


def _serialise(report: Report, folder: str) -> None:
    from vnnverify.results.serialised import serialise

    if report.witness is not None:
        serialise(report.witness, folder)


def _print(report: Report, writer: ResultWriter) -> None:
    from vnnverify.results.text import TextWriter

    click.echo(writer.write(report), nl=False)
    sys.stdout.flush()
    if writer.name != "json":
        click.echo(TextWriter(color=sys.stderr.isatty()).write(report), nl=False, err=True)
