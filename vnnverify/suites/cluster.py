# SPDX-License-Identifier: Apache-2.0
"""Workers on a Ray cluster (`vnnverify[ray]`): the same worker processes, each held by an actor somewhere.

Networks go through the object store, each once, and are laid down on a machine when they are first needed
there. A machine that is lost loses its actors; what they worked on is given to others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vnnverify.errors import OptionError, VnnverifyError
from vnnverify.inputs.external import checksum, read_model_file
from vnnverify.inputs.files import read_bytes
from vnnverify.process.handle import WorkerProcess
from vnnverify.process.job import Job
from vnnverify.suites.pool import Worker, WorkerLost

__all__ = ["cluster_workers"]

SLACK = 30.0
"""Seconds past its own time that an actor's answer is waited for: files have to be sent first."""


@contextmanager
def cluster_workers(
    address: str | None, workers: int, *, device: str = "auto", memory: int = 0
) -> Iterator[Callable[[int], Worker]]:
    """Join a cluster, or start one of this machine alone; gives what starts its workers.

    The cluster's cores are shared evenly by the workers. Where it has GPUs and `device` is not cpu, each
    worker has one to itself.

    Args:
        address: of the cluster, as `ray start` prints it; None starts one.
        memory: bytes that a worker and its children may use; 0 sets no limit.

    Raises:
        OptionError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise OptionError("--executor ray needs Ray; pip install 'vnnverify[ray]'") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=address or "local", include_dashboard=None if address else False, log_to_driver=False,
            logging_level="ERROR", namespace="vnnverify",
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise OptionError(f"--ray-address {address}: the cluster cannot be joined ({error})") from error
    try:
        yield _hirer(workers, device, memory)
    finally:
        ray.shutdown()


def _hirer(workers: int, device: str, memory: int) -> Callable[[int], Worker]:
    import ray

    resources = ray.cluster_resources()
    largest = max((node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]), default=1.0)
    threads = max(1, min(int(resources.get("CPU", 1.0)) // workers, int(largest)))
    gpus = 1 if device != "cpu" and resources.get("GPU", 0.0) >= 1.0 else 0
    shipped: dict[str, _Shipped] = {}

    def hire(number: int) -> Worker:
        kind = ray.remote(_Holder).options(
            num_cpus=threads, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        return _ClusterWorker(kind.remote(threads, memory), shipped)

    return hire


@dataclass(frozen=True, slots=True)
class _Shipped:
    """A file on its way."""

    name: str  # what it is called where it is laid down: its checksum and its own name
    content: Any  # its bytes, or the ray.ObjectRef of them
    sha256: str  # of what it was here


class _Holder:
    """The actor: one worker process, and the files it has been sent."""

    def __init__(self, threads: int, memory: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vnnverify-")
        self._worker = WorkerProcess(threads=threads, memory=memory, warm=True)

    def ready(self, seconds: float) -> str:
        """See `WorkerProcess.ready`."""
        return self._worker.ready(seconds)

    def ask(
        self, text: str, seconds: float, names: list[str], *contents: bytes
    ) -> tuple[dict[str, Any], bool]:
        """What the worker says about a job whose files are these, and whether it is fit for another."""
        folder = Path(self._folder.name)
        for name, content in zip(names, contents, strict=True):
            path = folder / name
            if not path.exists():
                path.write_bytes(content)
        job = Job.from_json(text)
        model = job.model
        placed = (
            str(folder / model)
            if isinstance(model, str)
            else {network: str(folder / name) for network, name in model.items()}
        )
        query = folder / job.query
        said = self._worker.ask(dataclasses.replace(job, model=placed, query=str(query)), seconds)
        query.unlink()
        return said, self._worker.fit


class _ClusterWorker:
    """A worker as the pool sees it, somewhere else."""

    def __init__(self, actor: Any, shipped: dict[str, _Shipped]) -> None:
        self.fit = True
        self._actor = actor
        self._shipped = shipped

    def ready(self, seconds: float) -> str:
        """See `pool.Worker`."""
        import ray

        try:
            why: str = ray.get(self._actor.ready.remote(seconds), timeout=seconds)
        except ray.exceptions.RayError as error:
            why = _line(error)
        self.fit = not why
        return why

    def ask(self, job: Job, seconds: float) -> dict[str, Any]:
        """See `pool.Worker`."""
        import ray

        given = {"": job.model} if isinstance(job.model, str) else dict(job.model)
        try:
            files = {path: self._ship(path) for path in given.values()}
            files[job.query] = _packed(job.query, read_bytes(job.query))
        except VnnverifyError as error:
            return {"input_error": str(error), "kind": type(error).__name__}
        there = {network: files[path].name for network, path in given.items()}
        text = dataclasses.replace(job, model=there.get("", there), query=files[job.query].name).to_json()
        latest = None if math.isinf(seconds) else seconds + SLACK
        try:
            said, self.fit = ray.get(
                self._actor.ask.remote(
                    text, seconds, [f.name for f in files.values()], *(f.content for f in files.values())
                ),
                timeout=latest,
            )
        except ray.exceptions.RayError as error:  # the node is lost, or cannot be reached
            self.fit = False
            raise WorkerLost(f"the worker's machine was lost ({_line(error)})") from error
        if "sha256" in said:  # a model's data files have been sent inside it
            known = {f"model {network}".rstrip(): files[path].sha256 for network, path in given.items()}
            said = {**said, "sha256": {**said["sha256"], **known}}
        return _in_our_words(said, files)

    def stop(self) -> None:
        """See `pool.Worker`. The actor's end closes its worker's stdin, and so ends that one."""
        import ray

        self.fit = False
        ray.kill(self._actor)

    def _ship(self, path: str) -> _Shipped:
        """The network, put into the object store when it is first asked for.

        Raises:
            FileError: it cannot be read.
        """
        import ray

        if path not in self._shipped:
            file = _packed(path, read_model_file(path).data)
            self._shipped[path] = dataclasses.replace(
                file, content=ray.put(file.content), sha256=checksum(path)[0]
            )
        return self._shipped[path]


def _packed(path: str, content: bytes) -> _Shipped:
    """The file's content, uncompressed, under a name of its own."""
    found = hashlib.sha256(content).hexdigest()
    return _Shipped(f"{found[:16]}-{Path(path).name.removesuffix('.gz')}", content, found)


def _in_our_words(said: dict[str, Any], files: dict[str, _Shipped]) -> dict[str, Any]:
    """The answer with the paths that are known here in its message about bad input."""
    if "input_error" not in said:
        return said
    message = said["input_error"]
    for path, file in files.items():
        start = message.find(file.name)
        if start >= 0:
            begin = max(message.rfind(" ", 0, start), message.rfind("'", 0, start)) + 1
            message = message[:begin] + path + message[start + len(file.name) :]
    return {**said, "input_error": message}


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
