# SPDX-License-Identifier: Apache-2.0
"""The process that does the work: `python -m vnnverify.worker`, a job line on stdin, a result line on stdout.

It is a process of its own so that whatever a backend does (hang, crash, print) costs no more than
its own verdict. With `--tied` it ends, with all that it has started, as soon as its stdin is closed.
It is also the one place that sets process-wide state: the thread count.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from vnnverify.deadline import Deadline
from vnnverify.errors import OptionError, VnnverifyError
from vnnverify.job import Job

if TYPE_CHECKING:
    from vnnverify.backend import Result

__all__ = ["main", "verify"]

logger = logging.getLogger(__name__)


def main() -> None:
    """Read one job, write one line, leave without tearing torch down."""
    gc.disable()  # reference counting frees the tensors; cycles do not matter in a short process
    deadline_base = time.monotonic()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print goes to stderr
    job = Job.from_json(sys.stdin.readline())
    if "--tied" in sys.argv[1:]:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    logging.basicConfig(level=_level(job.verbosity), format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        record = verify(job, Deadline(deadline_base + job.seconds))
    except VnnverifyError as error:
        logger.debug("bad input", exc_info=True)
        record = {"input_error": str(error)}
    except MemoryError:
        record = {"verdict": "error", "reason": "out of memory"}
    answer.write(json.dumps(record) + "\n")
    answer.flush()
    sys.stderr.flush()
    os._exit(0)


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
    """Decide the job's query; the result as JSON-able data.

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
    query = load_query(job.model, job.query, opaque=opaque, operators=tuple(plugins.operators))
    hashes = {"model": _sha256(job.model), "query": _sha256(job.query)}
    steps = sequence(job.backends) if job.backends else automatic(query, list(plugins.backends))
    backends = load_backends(
        plugins, [step.backend for step in steps], job.options, required=bool(job.backends)
    )
    steps = [step for step in steps if step.backend in backends]
    ctx = make_context(query, deadline, device=device, dtype=getattr(torch, job.dtype), seed=job.seed)
    logger.info(
        "%d inputs, %d outputs, %d nodes, %d clauses; trying %s on %s",
        query.graph.input_size,
        query.graph.output_size,
        len(query.graph.nodes),
        len(query.clauses),
        ", ".join(step.backend for step in steps),
        device,
    )
    return _record(decide(query, steps, backends, ctx, _log_step), hashes)


def _log_step(name: str, result: Result) -> None:
    logger.info(
        "%s: %s in %.2f s %s %s", name, result.verdict.value, result.seconds, result.reason, result.stats
    )


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


def _sha256(path: str) -> str:
    from vnnverify.files import read_bytes

    return hashlib.sha256(read_bytes(path)).hexdigest()


def _record(result: Result, hashes: dict[str, str]) -> dict[str, Any]:
    import torch

    from vnnverify import __version__

    witness = result.witness
    return {
        "verdict": result.verdict.value,
        "reason": result.reason,
        "witness": None if witness is None else {"x": witness.x, "y": witness.y, "rounded": witness.rounded},
        "guarantee": result.guarantee.value,
        "backend": result.backend,
        "stats": dict(result.stats),
        "sha256": hashes,
        "versions": {"vnnverify": __version__, "torch": torch.__version__},
    }


if __name__ == "__main__":
    main()
