# SPDX-License-Identifier: Apache-2.0
"""The process that does the work: `python -m vnnverify.worker`, a job line on stdin, a result line on stdout.

If the job asks for it, lines with `progress` come before the result.

A result that says `"explained": true` is followed by a line with its explanation, which nobody needs to
wait for.

It is a process of its own so that whatever a backend does (hang, crash, print) costs no more than
its own verdict. With `--tied` it ends, with all that it has started, as soon as its stdin is closed.
It is also the one place that sets process-wide state: the thread count.
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from vnnverify.deadline import Deadline
from vnnverify.errors import OptionError, VnnverifyError
from vnnverify.job import Job
from vnnverify.verdict import Guarantee, Verdict

if TYPE_CHECKING:
    from vnnverify.backend import Backend, Result
    from vnnverify.plugins import Plugins
    from vnnverify.query import Query

__all__ = ["answers", "main", "verify"]

EXPLAINING = 0.5
"""Seconds that an explanation may take; so many are kept of the time for it …"""
EXPLAINING_SHARE = 0.05
"""… but no larger share of it than this."""
EXPLAINING_LATE = 0.1
"""Seconds that it may take when the limit has passed."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Read one job, write its lines, leave without tearing torch down."""
    gc.disable()  # reference counting frees the tensors; cycles do not matter in a short process
    deadline_base = time.monotonic()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print goes to stderr
    job = Job.from_json(sys.stdin.readline())
    if "--tied" in sys.argv[1:]:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    logging.basicConfig(level=_level(job.verbosity), format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        for record in answers(job, Deadline(deadline_base + job.seconds), lambda told: _tell(told, answer)):
            _tell(record, answer)
    except VnnverifyError as error:
        logger.debug("bad input", exc_info=True)
        _tell({"input_error": str(error), "kind": type(error).__name__}, answer)
    except MemoryError:
        _tell({"verdict": "error", "reason": "out of memory"}, answer)
    sys.stderr.flush()
    os._exit(0)


def _tell(record: dict[str, Any], answer: TextIO) -> None:
    answer.write(json.dumps(record) + "\n")
    answer.flush()


def _end_with_stdin() -> None:
    """Kill this process group when nobody is left to read the answer."""
    while os.read(0, 1):
        pass
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _level(verbosity: int) -> int:
    return (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]


def verify(job: Job, deadline: Deadline) -> dict[str, Any]:
    """Decide the job's query; the result as JSON-able data, without an explanation.

    Raises:
        VnnverifyError: a file or an option is bad.
    """
    return next(answers(dataclasses.replace(job, explain=False), deadline))


def answers(
    job: Job, deadline: Deadline, tell: Callable[[dict[str, Any]], None] = lambda told: None
) -> Iterator[dict[str, Any]]:
    """The result as JSON-able data; then, if it is undecided and the job asks for it, its explanation under
    `explanation`. For that a little of the time is kept.

    Args:
        tell: called with the stages of a `Progress` under `progress`, if the job asks for them.

    Raises:
        VnnverifyError: a file or an option is bad.
    """
    from vnnverify.plugins import load_plugins

    plugins = load_plugins()
    opaque = bool(job.backends) and all(plugins.backend(name).opaque for name in job.backends)
    import torch

    from vnnverify.loader import load_query
    from vnnverify.runner import make_context
    from vnnverify.strategy import automatic, decide, load_backends, sequence

    torch.set_num_threads(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    plugins.install_rules()
    for failure in plugins.failures:
        logger.info("plugin %s is broken: %s", failure.plugin, failure.reason)
    device = _device(job.device)
    query = load_query(
        job.model,
        job.query,
        opaque=opaque,
        operators=tuple(plugins.operators),
        strict_types=job.strict_types,
    )
    hashes = _hashes(job)
    steps = sequence(job.backends) if job.backends else automatic(query, list(plugins.backends))
    backends = load_backends(
        plugins, [step.backend for step in steps], job.options, required=bool(job.backends)
    )
    steps = [step for step in steps if step.backend in backends]
    kept = min(EXPLAINING, EXPLAINING_SHARE * deadline.remaining()) if job.explain else 0.0
    ctx = make_context(
        query, Deadline(deadline.at - kept), device=device, dtype=getattr(torch, job.dtype), seed=job.seed
    )
    logger.info(
        "%d inputs, %d outputs, %d nodes, %d clauses; trying %s on %s",
        query.graph.input_size,
        query.graph.output_size,
        len(query.graph.nodes),
        len(query.clauses),
        ", ".join(step.backend for step in steps),
        device,
    )
    report = _reporter(job, tell)
    _tell_query(job, query, [step.backend for step in steps], tell)
    result = decide(query, steps, backends, ctx, report)
    wanted = job.explain and not result.verdict.decided
    yield {**_record(query, result, hashes), "explained": wanted}
    if wanted:
        at_most = min(EXPLAINING, max(EXPLAINING_LATE, deadline.remaining()))
        yield {"explanation": _explanation(query, result, job, Deadline.after(at_most), plugins, backends)}


def _explanation(
    query: Query,
    result: Result,
    job: Job,
    deadline: Deadline,
    plugins: Plugins,
    backends: Mapping[str, Backend[Any]],
) -> dict[str, Any] | None:
    """Why the result is undecided; None if finding out failed, which costs no verdict."""
    from vnnverify.explain import explain

    untried = [
        name
        for name, info in plugins.backends.items()
        if name not in result.stats and info.guarantee != Guarantee.STATISTICAL.value
    ]
    try:
        found = explain(query, result, job, deadline, backends=backends, untried=untried)
    except Exception:  # fence: an explanation is no part of the answer
        logger.debug("the explanation failed", exc_info=True)
        return None
    return found.to_record()


def _tell_query(job: Job, query: Query, backends: list[str], tell: Callable[[dict[str, Any]], None]) -> None:
    if job.progress:
        details = {
            "inputs": query.graph.input_size,
            "outputs": query.graph.output_size,
            "nodes": len(query.graph.nodes),
            "clauses": len(query.clauses),
            "backends": list(dict.fromkeys(backends)),
        }
        tell({"progress": {"stage": "query", "details": details}})


def _reporter(job: Job, tell: Callable[[dict[str, Any]], None]) -> Callable[[str, Result], None]:
    """What is done at the end of each turn: it is logged, and told if the job asks for it."""

    def report(name: str, result: Result) -> None:
        verdict, seconds, reason = result.verdict.value, result.seconds, result.reason
        logger.info("%s: %s in %.2f s %s %s", name, verdict, seconds, reason, result.stats)
        if job.progress:
            left = None if result.residual is None else len(result.residual.clauses)
            details = {
                "backend": name,
                "verdict": verdict,
                "seconds": round(seconds, 3),
                "reason": reason,
                "open_clauses": 0 if result.verdict is Verdict.UNSAT else left,
            }
            tell({"progress": {"stage": "turn", "details": details}})

    return report


def _device(wish: str) -> str:
    """The device to compute on.

    Raises:
        OptionError: there is no such device.
    """
    import torch

    count = torch.cuda.device_count() if wish != "cpu" and torch.cuda.is_available() else 0
    if wish == "auto":
        return "cuda" if count else "cpu"
    kind, _, index = wish.partition(":")
    if kind == "cuda" and int(index or 0) >= count:
        raise OptionError(f"--device {wish}: torch finds {count} CUDA devices here; use --device cpu")
    return wish


def _hashes(job: Job) -> dict[str, str]:
    """Checksums of the files; of several models each under the name of its network."""
    if isinstance(job.model, str):
        return {"model": _sha256(job.model), "query": _sha256(job.query)}
    models = {f"model {name}": _sha256(path) for name, path in job.model.items()}
    return {**models, "query": _sha256(job.query)}


def _sha256(path: str) -> str:
    from vnnverify.files import read_bytes

    return hashlib.sha256(read_bytes(path)).hexdigest()


def _record(query: Query, result: Result, hashes: dict[str, str]) -> dict[str, Any]:
    import torch

    from vnnverify import __version__
    from vnnverify.results import Witness

    found = result.witness
    witness = None if found is None else Witness(found.x, found.y, found.rounded, query.layout.tensors)
    return {
        "verdict": result.verdict.value,
        "reason": result.reason,
        "witness": None if witness is None else witness.to_record(),
        "guarantee": result.guarantee.value,
        "backend": result.backend,
        "stats": dict(result.stats),
        "layout": {
            "inputs": [dataclasses.asdict(spec) for spec in query.layout.inputs],
            "outputs": [dataclasses.asdict(spec) for spec in query.layout.outputs],
        },
        "sha256": hashes,
        "versions": {"vnnverify": __version__, "torch": torch.__version__},
    }


if __name__ == "__main__":
    main()
