# SPDX-License-Identifier: Apache-2.0
"""Runs `vnnverify verify` and another verifier in turn over the same instances, and compares them.

    python benchmarks/against.py FOLDER --family acasxu --tool NAME='COMMAND' [--log FILE] [--write TITLE]

COMMAND is split like a shell line and run without a shell. {model} and {property} become the files,
{timeout} the limit in seconds, {result} a file the tool writes its answer to. Without {result} the answer
is read from stdout: the last line that is one of sat, unsat, unknown, timeout, timed-out, holds, verified,
violated, falsified or error in any case, or else the last line that begins with one of them. For a tool
that answers otherwise, --answer-regex has either a group that holds such a word, or groups that are called
`sat` and `unsat`; the last match counts.

Two tools that are driven like this, each installed in an environment of its own:

    python -m venv vibecheck-env
    vibecheck-env/bin/pip install vibecheck-nn==1.1.0 onnx==1.21.0 onnxruntime==1.26.0 gurobipy
    python benchmarks/against.py FOLDER --family acasxu --timeout 60 --log vibecheck.jsonl \\
        --tool vibecheck='vibecheck-env/bin/vibecheck verify {property} --network N={model} --timeout 58'

    python -m venv marabou-env
    marabou-env/bin/pip install maraboupy==2.0.0
    python benchmarks/against.py FOLDER --family acasxu --timeout 60 --log marabou.jsonl \\
        --tool Marabou='marabou-env/bin/Marabou {model} {property} --timeout {timeout} --verbosity 0'

vibecheck counts its seconds without its start-up, about two, hence 58 of 60. Both tools inherit the
environment, so OMP_NUM_THREADS and the like hold for both.

How it is kept fair: both get the same files, unpacked just before; they alternate in who goes first; the
wall time is that of the whole process, start-up included. An answer more than a second after the limit is
none, and three seconds after it the tool is killed with its process group. A verdict against the expected
one is wrong and counts as unsolved. Where nothing is expected and the two contradict each other, neither
has solved the instance. PAR2 is the mean wall time, an unsolved instance counting twice the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instances import (
    DECIDED,
    chosen_rows,
    family_names,
    machine,
    make_parser,
    matmul_rate,
    parse_arguments,
    write_section,
)

from vnnverify.inputs.files import read_bytes

OURS = "vnnverify"
LATE = 1.0
"""Seconds past the limit, for the process to end, in which an answer still counts."""
KILL_AFTER = 3.0
"""Seconds past the limit after which a tool is killed."""
WORDS = {
    **dict.fromkeys(("sat", "violated", "falsified"), "sat"),
    **dict.fromkeys(("unsat", "holds", "verified"), "unsat"),
    **dict.fromkeys(("timeout", "timed-out"), "timeout"),
    "unknown": "unknown",
    "error": "error",
}
HEAD = (
    "| family | instances | solved | wrong | PAR2 s | median s "
    "| ratio, geometric mean | ratio, median | solved by both |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A verifier: its command with placeholders, and how its answer is found if not by the usual words."""

    name: str
    command: tuple[str, ...]
    answer: re.Pattern[str] | None = None

    def fill(self, **places: str) -> list[str]:
        """The command for one instance."""
        filled = list(self.command)
        for place, text in places.items():
            filled = [argument.replace(f"{{{place}}}", text) for argument in filled]
        return filled

    @property
    def writes_result(self) -> bool:
        return any("{result}" in argument for argument in self.command)

    @property
    def shown(self) -> str:
        """The command on one line, without the folder the program lies in."""
        return " ".join(" ".join([Path(self.command[0]).name, *self.command[1:]]).split())


@dataclass(frozen=True, slots=True)
class Run:
    """What one tool said about one instance, after how many seconds; `reason` ends its stderr."""

    verdict: str
    wall: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both tools on one instance.

    `runs` are ours and theirs, `first` is who went first, `options` are those of ours; every `sample`-th
    instance was run.
    """

    family: str
    model: str
    prop: str
    expected: str
    limit: float
    tool: str
    command: str
    options: str
    sample: int
    first: str
    runs: tuple[Run, Run]

    @property
    def disagree(self) -> bool:
        return {run.verdict for run in self.runs} == set(DECIDED)

    def wrong(self, side: int) -> bool:
        """Whether a verdict is against the expected one."""
        verdict = self.runs[side].verdict
        return verdict in DECIDED and self.expected in DECIDED and verdict != self.expected

    def solved(self, side: int) -> bool:
        """Whether a verdict came in time, and as far as is known is right."""
        run = self.runs[side]
        in_time = run.verdict in DECIDED and run.wall <= self.limit + LATE
        return in_time and (run.verdict == self.expected if self.expected in DECIDED else not self.disagree)

    def __str__(self) -> str:
        ours, theirs = (f"{run.verdict} {run.wall:.1f} s" for run in self.runs)
        known = f"expected {self.expected}" if self.expected in DECIDED else "nothing expected"
        return f"{self.family} {self.model} {self.prop}: {OURS} {ours}, {self.tool} {theirs}, {known}"


def read_answer(text: str, pattern: re.Pattern[str] | None = None) -> str:
    """The verdict a tool's output tells, or '' if it tells none."""
    if pattern is not None:
        told = [
            match.lastgroup
            if match.lastgroup in DECIDED
            else WORDS.get((match[match.lastindex or 0] or "").strip().lower(), "")
            for match in pattern.finditer(text)
        ]
        return told[-1] if told else ""
    lines = [line.strip().lower() for line in text.splitlines()]
    whole = [WORDS[line] for line in lines if line in WORDS]
    begun = [WORDS[word] for line in lines if (word := re.split(r"[^a-z-]", line)[0]) in WORDS]
    return (whole or begun or [""])[-1]


def unpack(path: Path, folder: Path) -> Path:
    """The content of a file, plain or gzipped, as a plain file in `folder`."""
    plain = folder / path.name.removesuffix(".gz")
    plain.write_bytes(read_bytes(path))
    return plain


def run(tool: Tool, model: Path, prop: Path, limit: float) -> Run:
    """One tool on one instance of plain files; its whole process group is dead afterwards.

    Wall seconds are those of the whole process. A tool that is killed has the verdict `timeout`, one that
    ends without an answer `error`.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        result = Path(folder) / "result"
        command = tool.fill(model=str(model), property=str(prop), timeout=f"{limit:g}", result=str(result))
        started = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        killer = threading.Timer(limit + KILL_AFTER, _kill, [process.pid])
        killer.start()
        try:
            code = process.wait()
            wall = round(time.monotonic() - started, 3)
        finally:
            killer.cancel()
            _kill(process.pid)
        err.seek(0)
        reason = err.read().decode(errors="replace")[-300:]
        if code == -signal.SIGKILL and wall > limit:
            return Run("timeout", wall, "killed")
        out.seek(0)
        told = out.read()
        if tool.writes_result:
            told = result.read_bytes() if result.exists() else b""
    verdict = read_answer(told.decode(errors="replace"), tool.answer)
    return (
        Run(verdict, wall, reason)
        if verdict
        else Run("error", wall, f"no answer, exit code {code}: {reason}")
    )


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def table(pairs: Sequence[Pair]) -> list[str]:
    """A row for every family, and one for all of them if there are several."""
    families = dict.fromkeys(pair.family for pair in pairs)
    lines = [HEAD, *(row(name, [p for p in pairs if p.family == name]) for name in families)]
    return [*lines, row("total", pairs)] if len(families) > 1 else lines


def row(name: str, pairs: Sequence[Pair]) -> str:
    """One row; cells are ours / theirs, ratios ours over theirs where both solved the instance."""
    solved = [[p for p in pairs if p.solved(side)] for side in (0, 1)]
    wrong = [sum(p.wrong(side) for p in pairs) for side in (0, 1)]
    par2 = [
        statistics.fmean(p.runs[side].wall if p.solved(side) else 2 * p.limit for p in pairs)
        for side in (0, 1)
    ]
    median = [
        f"{statistics.median(p.runs[side].wall for p in solved[side]):.1f}" if solved[side] else "–"
        for side in (0, 1)
    ]
    ratios = [p.runs[0].wall / p.runs[1].wall for p in solved[0] if p.solved(1)]
    middles = [
        f"{middle(ratios):.2f}" if ratios else "–"
        for middle in (statistics.geometric_mean, statistics.median)
    ]
    return (
        f"| {name} | {len(pairs)} | {len(solved[0])} / {len(solved[1])} | {wrong[0]} / {wrong[1]} "
        f"| {par2[0]:.1f} / {par2[1]:.1f} | {median[0]} / {median[1]} "
        f"| {middles[0]} | {middles[1]} | {len(ratios)} |"
    )


def differences(pairs: Sequence[Pair]) -> list[str]:
    """Lists of the instances that are wrong or contradictory, and of those only one tool solved."""
    names = (OURS, pairs[0].tool)
    doubtful = [p for p in pairs if p.disagree or p.wrong(0) or p.wrong(1)]
    listed = [("Wrong or in contradiction", doubtful)]
    listed += [
        (f"Solved by {names[side]} alone", [p for p in pairs if p.solved(side) and not p.solved(1 - side)])
        for side in (0, 1)
    ]
    lines = []
    for title, found in listed:
        lines += [f"\n{title}: {len(found) or 'none'}", *([""] if found else []), *(f"- {p}" for p in found)]
    return lines


def caption(pairs: Sequence[Pair], rate: float, args: argparse.Namespace) -> str:
    """What was run, from the records."""
    theirs = pairs[0].tool
    limits = ", ".join(f"{limit:g}" for limit in sorted({p.limit for p in pairs}))
    options = ", ".join(f"`{text}`" for text in sorted({p.options for p in pairs}) if text)
    commands = ", ".join(f"`{text}`" for text in sorted({p.command for p in pairs}))
    samples = ", ".join(str(sample) for sample in sorted({p.sample for p in pairs}) if sample > 1)
    return (
        f"{OURS}{f' with {options}' if options else ''} / {theirs} as {commands}, in turn; "
        f"{f'one instance in {samples}; ' if samples else ''}{limits} s an instance, whole process; "
        f"ratios are {OURS} over {theirs} where both solved the instance; {machine(rate, args)}."
    )


def measure(args: argparse.Namespace, tool: Tool) -> list[Pair]:
    """Run both tools over the chosen instances, print and log as it goes."""
    verify = (sys.executable, "-m", "vnnverify", "verify", "{model}", "{property}")
    ours = Tool(OURS, (*verify, "--timeout", "{timeout}", *args.more))
    pairs: list[Pair] = []
    for name in family_names(args):
        for model, prop, expected in chosen_rows(args.folder / name, args)[:: args.sample]:
            order = (0, 1) if len(pairs) % 2 == 0 else (1, 0)
            with tempfile.TemporaryDirectory() as folder:
                files = [unpack(args.folder / name / file, Path(folder)) for file in (model, prop)]
                runs = {side: run((ours, tool)[side], files[0], files[1], args.timeout) for side in order}
            pair = Pair(
                family=name,
                model=model,
                prop=prop,
                expected=expected,
                limit=args.timeout,
                tool=tool.name,
                command=tool.shown,
                options=" ".join(args.more),
                sample=args.sample,
                first=(OURS, tool.name)[order[0]],
                runs=(runs[0], runs[1]),
            )
            pairs.append(pair)
            flag = "WRONG " if pair.wrong(0) or pair.wrong(1) else "CONTRADICTION " if pair.disagree else ""
            print(f"{flag}{pair}", flush=True)
            if args.log:
                with args.log.open("a") as file:
                    file.write(json.dumps(dataclasses.asdict(pair)) + "\n")
    return pairs


def logged(args: argparse.Namespace, name: str) -> list[Pair]:
    """The latest record of each instance run against tool `name`, as --family, --only, --expected choose."""
    latest: dict[tuple[str, str, str], Pair] = {}
    for line in args.log.read_text().splitlines():
        pair = _pair(json.loads(line))
        if (
            pair.tool == name
            and (not args.family or pair.family in args.family)
            and args.only in f"{pair.model} {pair.prop}"
            and (not args.expected or pair.expected == args.expected)
        ):
            latest[pair.family, pair.model, pair.prop] = pair
    return list(latest.values())


def _pair(record: dict[str, Any]) -> Pair:
    ours, theirs = (Run(**run) for run in record["runs"])
    return Pair(**{**record, "runs": (ours, theirs)})


def read_tool(args: argparse.Namespace, parser: argparse.ArgumentParser) -> Tool:
    """The tool of --tool and --answer-regex; ends the program if it cannot be run."""
    name, _, template = args.tool.partition("=")
    try:
        command = tuple(shlex.split(template))
        pattern = re.compile(args.answer_regex, re.IGNORECASE | re.MULTILINE) if args.answer_regex else None
    except (ValueError, re.error) as error:
        parser.error(f"--tool or --answer-regex: {error}")
    if not args.again:
        missing = [place for place in ("{model}", "{property}") if place not in template]
        if not command or missing:
            parser.error(f"--tool {args.tool}: expected NAME=COMMAND with {{model}} and {{property}} in it")
        if shutil.which(command[0]) is None:
            parser.error(f"--tool {name}: there is no program {command[0]}")
    return Tool(name, command, pattern)


def main() -> None:
    """Run or read the records, print, and write."""
    parser = make_parser(__doc__)
    parser.add_argument("--tool", required=True, metavar="NAME=COMMAND", help="with --again: NAME")
    parser.add_argument("--answer-regex", metavar="REGEX", help="finds the answer in what the tool says")
    parser.add_argument(
        "--sample", type=int, default=1, metavar="N", help="every N-th of a family's chosen instances"
    )
    args = parse_arguments(parser)
    if args.sample < 1:
        parser.error("--sample: expected 1 or more")
    tool = read_tool(args, parser)
    rate = matmul_rate()
    pairs = logged(args, tool.name) if args.again else measure(args, tool)
    if not pairs:
        parser.error("no instance was chosen")
    content = "\n".join([caption(pairs, rate, args), "", *table(pairs), *differences(pairs)])
    print(content)
    if args.write:
        write_section(args.write, content)


if __name__ == "__main__":
    main()
