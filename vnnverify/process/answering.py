# SPDX-License-Identifier: Apache-2.0
"""From a job to its answer: files are read, backends asked in turn, and the result told as plain data."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnnverify.deadline import Deadline
from vnnverify.errors import OptionError
from vnnverify.process.condition import condition, cores
from vnnverify.process.job import Job, Progress
from vnnverify.process.watchdog import LastWord
from vnnverify.verdict import Verdict

if TYPE_CHECKING:
    from vnnverify.engine.answer import Answer
    from vnnverify.engine.strategy import Standing, Step
    from vnnverify.loading.loader import Models
    from vnnverify.plugin.backend import Backend, Context
    from vnnverify.plugin.manager import Plugins
    from vnnverify.process.helpers import Workers
    from vnnverify.query import Query

__all__ = ["Kept", "answers", "contribution", "prepare", "verify"]

EXPLAINING = 0.5
"""Seconds that an explanation may take; so many are kept of the time for it …"""
EXPLAINING_SHARE = 0.05
"""… but no larger share of it than this."""
ASKING = 0.2
"""Seconds after which no further backend is asked, for an explanation, whether it takes the query."""
EXPLAINING_LATE = 0.1
"""Seconds that it may take when the limit has passed."""

MOST_WORKERS = 16
"""Processes that share a search, unless the job wants more: each takes half a gigabyte."""
MEMORY_EACH = 2 << 30
"""Bytes of a limit of memory for each process that shares a search: no more of them than so many."""
TELLS_EVERY = 1.0
"""Seconds between two notes on how a search stands."""
_OUT_OF_MEMORY = ("MemoryError", "not enough memory", "out of memory")
"""Python, torch on the CPU, torch on a GPU."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """What a worker keeps from job to job."""

    threads: int = 0  # to compute on; 0: as many as there are cores
    memory: int = 0  # bytes that this process and those it starts may take; 0: no limit
    plugins: Plugins | None = None
    models: Models | None = None
    again: bool = False  # whether more jobs may follow
    shared: tuple[Job, Query, Mapping[str, Backend[Any]]] | None = None  # what the last parcel was of


def contribution(job: Job, deadline: Deadline, kept: Kept) -> dict[str, Any]:
    """What has become of the job's parcel. The query and its backends are kept for the next one."""
    from vnnverify.engine.runner import make_context
    from vnnverify.process.member import work_on

    plugins, models = prepare(kept)
    about = dataclasses.replace(job, parcel="", turn="", seconds=0.0, number=0)
    if kept.shared is None or kept.shared[0] != about:
        asked = _read_job(job, plugins, models)
        kept.shared = about, asked.query, asked.backends
    _, query, backends = kept.shared
    return work_on(job.parcel, query, backends[job.turn], make_context(query, deadline, **_where(job)))


def verify(job: Job, deadline: Deadline) -> dict[str, Any]:
    """Decide the job's query; the result as JSON-able data, without an explanation.

    Raises:
        VnnverifyError: a file or an option is bad.
    """
    return next(answers(dataclasses.replace(job, explain=False), deadline))


def _unwatched(last_word: LastWord) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def answers(
    job: Job,
    deadline: Deadline,
    tell: Callable[[dict[str, Any]], object] = lambda told: None,
    kept: Kept | None = None,
    watch: Callable[[LastWord], contextlib.AbstractContextManager[None]] = _unwatched,
) -> Iterator[dict[str, Any]]:
    """The result as JSON-able data; then, if it is undecided and the job asks for it, its explanation under
    `explanation`. For that a little of the time is kept.

    Args:
        tell: called with the stages of a `Progress` under `progress`, if the job asks for them.
        kept: from the jobs before; what this one reads is added.
        watch: sees to it that there is an answer in time while backends work.

    Raises:
        VnnverifyError: a file or an option is bad.
    """
    kept = kept or Kept()
    asked: _Asked | None = None
    standing: Standing | None = None

    def last_word() -> Iterator[dict[str, Any]]:
        """The answer as far as it is known, and why it is no other."""
        if asked is None or standing is None:
            yield {
                "verdict": "timeout",
                "reason": "stopped at the time limit, before any backend had its turn",
                "cause": "hang",
            }
            return
        found = _with_cause(asked.query, standing.result())
        record = _record(asked.query, found, asked.hashes)
        yield {**record, "cause": "hang", "explained": job.explain}
        if job.explain:
            yield {"explanation": _explanation(asked, found, job, Deadline.after(EXPLAINING))}

    plugins, models = prepare(kept)
    before = condition() if kept.again else None
    with watch(last_word):
        from vnnverify.engine.runner import make_context
        from vnnverify.engine.strategy import Standing, decide

        asked = _read_job(job, plugins, models)
        query = asked.query
        spared = min(EXPLAINING, EXPLAINING_SHARE * deadline.remaining()) if job.explain else 0.0
        ctx = make_context(query, Deadline(deadline.at - spared), **_where(job))
        _tell_query(job, query, asked.order, ctx, tell)
        standing = Standing()
        ctx = dataclasses.replace(ctx, tell=_standing(job, tell, standing))
        with _workers(job, kept, ctx) as workers:
            team = (lambda name: None) if workers is None else workers.turn
            report = _reporter(job, tell)
            result = decide(query, asked.steps, asked.backends, ctx, report, team, standing)
    result = _with_cause(query, result)
    wanted = job.explain and not result.verdict.decided and not result.final
    record = _record(query, result, asked.hashes)
    if before is not None:
        record["spent"] = record["cause"] == "memory" or condition() != before
    yield {**record, "explained": wanted}
    if wanted:
        at_most = min(EXPLAINING, max(EXPLAINING_LATE, deadline.remaining()))
        found = _explanation(asked, result, job, Deadline.after(at_most))
        yield {"explanation": found, "spent": before is not None and condition() != before}


def prepare(kept: Kept) -> tuple[Plugins, Models]:
    """The plugins and the models read so far; both are made for the first job."""
    from vnnverify.plugin.manager import load_plugins

    if kept.plugins is None:
        kept.plugins = load_plugins()
    import torch

    from vnnverify.loading.loader import Models

    if kept.models is None:
        kept.plugins.install_rules()
        for failure in kept.plugins.failures:
            logger.info("plugin %s is broken: %s", failure.plugin, failure.reason)
        kept.models = Models(tuple(kept.plugins.operators))
    torch.set_num_threads(kept.threads or cores())
    return kept.plugins, kept.models


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a job asks, and who is to answer it in which order."""

    query: Query
    backends: Mapping[str, Backend[Any]]
    steps: list[Step]
    hashes: Mapping[str, str]
    plugins: Plugins

    @property
    def order(self) -> list[str]:
        return [step.backend for step in self.steps]


def _read_job(job: Job, plugins: Plugins, models: Models) -> _Asked:
    """Read the files of a job and load its backends."""
    from vnnverify.engine.strategy import automatic, load_backends, sequence
    from vnnverify.loading.loader import load_query

    named = tuple(name for name in job.backends if name not in job.without)
    opaque = all(plugins.backend(name).opaque for name in named)  # by default the black box is attacked
    query = load_query(
        job.model,
        job.query,
        opaque=opaque,
        operators=tuple(plugins.operators),
        strict=job.strict,
        models=models,
    )
    others = [name for name in plugins.backends if name not in job.without]
    steps = sequence(named) if named else automatic(query, others)
    backends = load_backends(plugins, [step.backend for step in steps], job.options, required=bool(named))
    steps = [step for step in steps if step.backend in backends]
    return _Asked(query, backends, steps, _hashes(job, models), plugins)


def _with_cause(query: Query, result: Answer) -> Answer:
    """The result, which says why nothing can be proved of a model that could not be read."""
    from vnnverify.importer.opaque import unread

    why = "" if result.verdict.decided else unread(query.graph)
    if not why:
        return result
    return dataclasses.replace(result, reason=f"no proof is possible ({why}); {result.reason}")


def _explanation(asked: _Asked, result: Answer, job: Job, deadline: Deadline) -> dict[str, Any] | None:
    """Why the result is undecided; None if finding out failed, which costs no verdict."""
    from vnnverify.diagnosis.coverage import untried_backends
    from vnnverify.diagnosis.explain import explain

    def untried() -> list[str]:
        tried = [*result.stats, *asked.order]
        return untried_backends(asked.plugins, result.residual or asked.query, tried, Deadline.after(ASKING))

    try:
        found = explain(
            asked.query, result, deadline, seed=job.seed, seconds=job.seconds, dtype=job.dtype,
            backends=asked.backends, untried=untried,
        )  # fmt: skip
    except Exception:  # fence: an explanation is no part of the answer
        logger.debug("the explanation failed", exc_info=True)
        return None
    return found.to_record()


def _tell_query(
    job: Job, query: Query, backends: list[str], ctx: Context, tell: Callable[[dict[str, Any]], object]
) -> None:
    details = {
        "inputs": query.graph.input_size,
        "outputs": query.graph.output_size,
        "nodes": len(query.graph.nodes),
        "clauses": len(query.clauses),
        "backends": list(dict.fromkeys(backends)),
    }
    logger.info("%s on %s", Progress("query", details), ctx.device)
    if job.progress:
        tell({"progress": {"stage": "query", "details": details}})


def _reporter(job: Job, tell: Callable[[dict[str, Any]], object]) -> Callable[[str, Answer], None]:
    """What is done at the end of each turn: it is logged, and told if the job asks for it."""
    from vnnverify.results.text import counters

    def report(name: str, result: Answer) -> None:
        """What came of one turn of the backend of this name."""
        verdict, seconds, reason = result.verdict.value, result.seconds, result.reason
        left = None if result.residual is None else len(result.residual.clauses)
        details = {
            "backend": name,
            "verdict": verdict,
            "seconds": round(seconds, 3),
            "reason": reason,
            "open_clauses": 0 if result.verdict is Verdict.UNSAT else left,
        }
        said = str(Progress("turn", details)), counters(result.stats)
        logger.info("%s", "; ".join(part for part in said if part))
        if job.progress:
            tell({"progress": {"stage": "turn", "details": details}})

    return report


def _standing(
    job: Job, tell: Callable[[dict[str, Any]], object], standing: Standing
) -> Callable[[int, int, float], None]:
    """What is made of how a search stands: once a second it is logged, and told if the job asks for it."""
    latest = time.monotonic()

    def told(visited: int, left: int, bound: float) -> None:
        """So many sub-problems were visited and are left, and the lowest bound of the last ones."""
        nonlocal latest
        now = time.monotonic()
        if now - latest < TELLS_EVERY:
            return
        latest = now
        details = {"backend": standing.running, "visited": visited, "open": left, "bound": plain(bound)}
        progress = Progress("search", details)
        logger.info("%s", progress)
        if job.progress:
            tell({"progress": {"stage": progress.stage, "details": progress.details}})

    def plain(bound: float) -> float | None:
        return bound if math.isfinite(bound) else None

    return told


def _where(job: Job) -> dict[str, Any]:
    """Device, float type and seed, as `make_context` takes them.

    Raises:
        OptionError: there is no such device.
    """
    import torch

    return {"device": _device(job.device), "dtype": getattr(torch, job.dtype), "seed": job.seed}


def _workers(job: Job, kept: Kept, ctx: Context) -> contextlib.AbstractContextManager[Workers | None]:
    """Those who may share the search. Processes on one GPU would only be in each other's way."""
    from vnnverify.process.helpers import Workers

    threads = kept.threads or cores()
    count = (job.workers or min(threads, MOST_WORKERS)) - 1
    if kept.memory:
        count = min(count, kept.memory // MEMORY_EACH - 1)
    if count < 1 or ctx.device.type != "cpu":
        return contextlib.nullcontext()
    return Workers(job, count, threads)


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


def _hashes(job: Job, models: Models) -> dict[str, str]:
    """Checksums of the files; of several models each under the name of its network."""
    given = {"model": job.model} if isinstance(job.model, str) else job.model
    named = {name if isinstance(job.model, str) else f"model {name}": path for name, path in given.items()}
    return {name: models.sha256(path) for name, path in {**named, "query": job.query}.items()}


def _record(query: Query, result: Answer, hashes: Mapping[str, str]) -> dict[str, Any]:
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
        "cause": _cause(result),
        "layout": {
            "inputs": [dataclasses.asdict(spec) for spec in query.layout.inputs],
            "outputs": [dataclasses.asdict(spec) for spec in query.layout.outputs],
        },
        "sha256": dict(hashes),
        "versions": {"vnnverify": __version__, "torch": torch.__version__},
    }


def _cause(result: Answer) -> str:
    """What an `error` comes from; empty for any other verdict."""
    if result.verdict is not Verdict.ERROR:
        return ""
    return "memory" if any(word in result.reason for word in _OUT_OF_MEMORY) else "backend"
