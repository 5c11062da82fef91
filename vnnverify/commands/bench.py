# SPDX-License-Identifier: Apache-2.0
"""`vnnverify bench`: whole suites of instances, with nothing lost on the way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from vnnverify.commands.verify import parse_options
from vnnverify.errors import FileError, OptionError
from vnnverify.plugin.manager import load_plugins
from vnnverify.process.job import parse_device
from vnnverify.sizes import parse_size
from vnnverify.verdict import Verdict

if TYPE_CHECKING:
    from vnnverify.suites.answering import Manner
    from vnnverify.suites.pool import Worker
    from vnnverify.suites.summary import Summary

__all__ = ["command"]


@click.command("bench")
@click.argument("lists", nargs=-1, metavar="INSTANCES.csv | FOLDER …")
@click.option("--out", required=True, metavar="DIR", help="Folder for the journal and all results.")
@click.option(
    "--resume", is_flag=True, help="Go on with the run in DIR; without lists, just as it was begun."
)
@click.option(
    "--timeout", metavar="SECONDS", help="At most so many seconds an instance; =SECONDS: for every one."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Workers at a time; they share the cores.",
)  # fmt: skip
@click.option("--backend", "backends", metavar="NAME[,NAME]", help="Backends in turn [default: automatic].")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="Option of a backend.")
@click.option("--device", metavar="auto|cpu|cuda[:N]", help="Where to compute [default: auto].")
@click.option("--seed", type=click.IntRange(0), metavar="INTEGER", help="Seed of every random choice.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Only instances whose name has this in it.")
@click.option("--expected", metavar="FILE", help="Known verdicts [default: expected.csv beside each list].")
@click.option("--shard", metavar="I/N", help="Only the I-th of N parts; `vnnverify merge` joins them.")
@click.option("--cross-check", metavar="A,B", help="Both backends must agree, else the verdict is withheld.")
@click.option(
    "--no-falsify",
    is_flag=True,
    help="Only instances known to be sat, without those that only attack; none may be unsat.",
)
@click.option("--memory-limit", metavar="SIZE", help="Of each worker, as in 8G.")
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True,
    help="Where the workers are: on this machine, or on a Ray cluster.",
)  # fmt: skip
@click.option("--ray-address", metavar="ADDRESS", help="Of the cluster [default: one is started here].")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON line.")
@click.option("--quiet", "-q", is_flag=True, help="Do not tell how it gets on.")
def command(lists: tuple[str, ...], out: str, **given: Any) -> int:
    """Answer all instances of lists in VNN-COMP's form, `onnx,vnnlib,timeout`.

    Exit code 1 if a verdict contradicts what is expected. A run that was interrupted or killed goes on with
    --resume.

    \b
    vnnverify bench benchmarks/acasxu/instances.csv --out runs/acasxu --timeout 60 --jobs 4
    vnnverify bench --resume --out runs/acasxu
    """
    asked = _asked(given) if lists else None
    lists, asked = _begun(out, given) if asked is None else (lists, asked)
    return _run(lists, asked, out, given)


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    """The options that may change a verdict, as `run.json` holds them."""
    names = ("timeout", "backends", "device", "seed", "shard", "cross_check", "no_falsify")
    return {
        **{name: given[name] for name in names},
        "options": parse_options(given["options"]),
        "only": list(given["only"]),
        "expected": os.path.abspath(given["expected"]) if given["expected"] else None,
    }


def _begun(out: str, given: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The lists and options of the run in the folder; what is given anew has to be the same.

    Raises:
        OptionError: nothing is given to begin with.
    """
    from vnnverify.suites import read_header

    if not given["resume"]:
        raise OptionError("no instances given; name a list, or a folder with instances.csv")
    header = read_header(out)
    asked = dict(header.options)
    for name, value in _asked(given).items():
        if value and asked.get(name) != value:
            raise OptionError(f"{out}: its run was started with {name} {asked.get(name)!r}, not {value!r}")
    return header.lists, asked


def _run(lists: Sequence[str], asked: dict[str, Any], out: str, given: dict[str, Any]) -> int:
    from vnnverify.suites.expected import expected_beside, read_expected
    from vnnverify.suites.header import Header, machine, now, versions
    from vnnverify.suites.instances import Limit, find_lists, read_instances, select, shard
    from vnnverify.suites.progress import make_watcher
    from vnnverify.suites.run import run

    found = find_lists(lists)
    known = read_expected(Path(asked["expected"])) if asked["expected"] else expected_beside(found)
    limit = Limit.parse(asked["timeout"]) if asked["timeout"] else Limit()
    instances = select(read_instances(found, limit, known), asked["only"])
    if asked["no_falsify"]:
        instances = [instance for instance in instances if instance.expected is Verdict.SAT]
    if asked["shard"]:
        instances = shard(instances, asked["shard"])
    if not instances:
        raise FileError(f"{', '.join(lists)}: no instances are left to answer; see --only and --no-falsify")
    header = Header(tuple(map(str, found)), len(instances), asked, machine(), versions(), now())
    manner = _manner(asked)
    try:
        with _workers(given, out, manner.device) as hire, _terminable():
            summary = run(
                instances,
                manner,
                out,
                header,
                hire,
                workers=given["jobs"],
                place=given["executor"],
                resume=given["resume"],
                watch=None if given["quiet"] else make_watcher,
            )
    except KeyboardInterrupt as interrupt:
        _print_what_is_there(out, len(instances), as_json=given["as_json"])
        click.echo("vnnverify: interrupted; go on with --resume", err=True)
        os._exit(143 if isinstance(interrupt, _Terminated) else 130)  # no thread may keep it waiting
    _print(summary, as_json=given["as_json"])
    return 1 if summary.wrong else 0


@contextmanager
def _workers(given: dict[str, Any], out: str, device: str) -> Iterator[Callable[[int], Worker]]:
    """What starts the workers, wherever they are."""
    from vnnverify.process.condition import cores
    from vnnverify.suites.run import local_workers

    memory = _memory(given["memory_limit"] or "0")
    if given["executor"] == "local":
        yield local_workers(out, threads=max(1, cores() // given["jobs"]), memory=memory)
        return
    from vnnverify.suites.cluster import cluster_workers

    with cluster_workers(given["ray_address"], given["jobs"], device=device, memory=memory) as hire:
        yield hire


def _manner(asked: dict[str, Any]) -> Manner:
    """How to ask, from what was asked for.

    Raises:
        OptionError, PluginError: a backend or an option is none.
    """
    from vnnverify.suites.answering import Manner

    plugins = load_plugins()
    backends, sides = (_names(asked[key] or "") for key in ("backends", "cross_check"))
    for name in (*backends, *sides):
        plugins.backend(name)
    if sides and (len(sides) != 2 or len(set(sides)) != 2 or backends):
        raise OptionError("--cross-check takes the names of two backends, and no --backend besides")
    attacks = [name for name, info in plugins.backends.items() if info.attacks]
    return Manner(
        backends=backends,
        options=asked["options"],
        device=parse_device(asked["device"] or "auto", "--device"),
        seed=asked["seed"] or 0,
        without=tuple(attacks) if asked["no_falsify"] else (),
        sides=sides,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _memory(text: str) -> int:
    """Bytes of `8G`, `512M`, `1073741824`.

    Raises:
        OptionError: it is no size.
    """
    try:
        return int(text) if text.isdecimal() else parse_size(text)
    except ValueError:
        raise OptionError(f"--memory-limit {text}: expected a size, as in 8G or 512M") from None


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception for the time being."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_what_is_there(out: str, instances: int, *, as_json: bool) -> None:
    from vnnverify.suites import read_journal
    from vnnverify.suites.summary import Summary

    _print(Summary(instances, tuple(read_journal(out))), as_json=as_json)


def _print(summary: Summary, *, as_json: bool) -> None:
    click.echo(json.dumps(summary.to_record()) if as_json else "\n".join(summary.lines()))
