# SPDX-License-Identifier: Apache-2.0
"""What a process keeps from job to job, and what a job asks of it once its files are read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnnverify.errors import OptionError
from vnnverify.process.condition import cores
from vnnverify.process.job import Job

if TYPE_CHECKING:
    from vnnverify.engine.schedule import PlannedTurn
    from vnnverify.loading.loader import Models
    from vnnverify.plugin.backend import Backend, Context
    from vnnverify.plugin.manager import Plugins
    from vnnverify.process.helpers import Workers
    from vnnverify.query import Query

__all__ = ["Asked", "Kept", "others", "prepare", "read_job", "resources"]

MOST_WORKERS = 16
"""Processes that share a search, unless the job wants more: each takes half a gigabyte."""
MEMORY_EACH = 2 << 30
"""Bytes of a limit of memory for each process that shares a search: no more of them than so many."""

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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a job asks, and who is to answer it in which order."""

    query: Query
    backends: Mapping[str, Backend[Any]]
    schedule: list[PlannedTurn]
    hashes: Mapping[str, str]  # checksums of its files

    @property
    def order(self) -> list[str]:
        """The backends' names, turn by turn."""
        return [planned.backend for planned in self.schedule]


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


def read_job(job: Job, plugins: Plugins, models: Models) -> Asked:
    """Read the files of a job and load its backends.

    Raises:
        VnnverifyError: a file or an option is bad.
    """
    from vnnverify.engine.backends import load_backends
    from vnnverify.engine.schedule import automatic, sequence
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
    installed = [info for name, info in plugins.backends.items() if name not in job.without]
    schedule = sequence(named) if named else automatic(query, installed)
    wanted = [planned.backend for planned in schedule]
    backends = load_backends(plugins, wanted, job.options, required=bool(named))
    schedule = [planned for planned in schedule if planned.backend in backends]
    return Asked(query, backends, schedule, _hashes(job, models))


def _hashes(job: Job, models: Models) -> dict[str, str]:
    """Checksums of the files; of several models each under the name of its network."""
    given = {"model": job.model} if isinstance(job.model, str) else job.model
    named = {name if isinstance(job.model, str) else f"model {name}": path for name, path in given.items()}
    return {name: models.sha256(path) for name, path in {**named, "query": job.query}.items()}


def resources(job: Job) -> dict[str, Any]:
    """Device, float type and seed, as `make_context` takes them.

    Raises:
        OptionError: there is no such device.
    """
    import torch

    return {"device": _device(job.device), "dtype": getattr(torch, job.dtype), "seed": job.seed}


def _device(wish: str) -> str:
    import torch

    count = torch.cuda.device_count() if wish != "cpu" and torch.cuda.is_available() else 0
    if wish == "auto":
        return "cuda" if count else "cpu"
    kind, _, index = wish.partition(":")
    if kind == "cuda" and int(index or 0) >= count:
        raise OptionError(f"--device {wish}: torch finds {count} CUDA devices here; use --device cpu")
    return wish


def others(job: Job, kept: Kept, ctx: Context) -> contextlib.AbstractContextManager[Workers | None]:
    """The processes that may share the search. On one GPU they would only be in each other's way."""
    from vnnverify.process.helpers import Workers

    threads = kept.threads or cores()
    count = (job.workers or min(threads, MOST_WORKERS)) - 1
    if kept.memory:
        count = min(count, kept.memory // MEMORY_EACH - 1)
    if count < 1 or ctx.device.type != "cpu":
        return contextlib.nullcontext()
    return Workers(job, count, threads)
