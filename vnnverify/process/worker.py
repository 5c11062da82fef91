# SPDX-License-Identifier: Apache-2.0
"""The process that does the work, `python -m vnnverify.process.worker`: job lines on stdin, answer lines on
stdout.

If the job asks for it, lines with `progress` come before the answer. A job with a parcel has what is left of
the parcel for its answer (`vnnverify.process.member`).

An answer that says `"explained": true` is followed by a line with its explanation, which nobody needs to
wait for. Either that says `"spent": true` is the last that should be believed of this process.

It is a process of its own so that whatever a backend does (hang, crash, print) costs no more than
its own verdict. With `--tied` it ends, with all that it has started, as soon as its stdin is closed.
It is also the one place that sets process-wide state: the thread count and the limit of memory.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from functools import partial
from typing import Any, TextIO

from vnnverify.deadline import Deadline
from vnnverify.errors import VnnverifyError
from vnnverify.process.answering import answers, contribution
from vnnverify.process.job import Job
from vnnverify.process.messages import MessageFormatter
from vnnverify.process.session import Kept, prepare
from vnnverify.process.watchdog import Answering, watched

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main() -> None:
    """Answer jobs until stdin is closed, and leave without tearing torch down."""
    gc.disable()  # reference counting frees the tensors; cycles are collected between jobs
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print goes to stderr
    settings = _settings()
    jobs: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs, settings.tied), daemon=True).start()
    if settings.memory:
        _limit_memory(settings.memory)
    kept = Kept(settings.threads, settings.memory, again=settings.warm)
    if settings.warm:
        _tell(_warm(kept), answer)
    while True:
        line, received = jobs.get()
        if not line:
            break
        _work(Job.from_json(line), received, kept, answer)
        gc.collect()
    sys.stderr.flush()
    os._exit(0)


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m vnnverify.process.worker")
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--memory", type=int, default=0)
    return parser.parse_args()


def _read(jobs: queue.SimpleQueue[tuple[str, float]], tied: bool) -> None:
    """Each line with the moment it came; at the end an empty one or, if tied, that of this process group:
    nobody is left to read the answer."""
    for line in sys.stdin:
        jobs.put((line, time.monotonic()))
    if not tied:
        jobs.put(("", time.monotonic()))
        return
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _limit_memory(size: int) -> None:
    """Let allocations fail beyond `size` bytes, where the system knows how; what this process cannot see
    to by itself its supervisor does."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _warm(kept: Kept) -> dict[str, Any]:
    """Import what every job needs; whether that worked."""
    try:
        import onnxruntime  # noqa: F401

        prepare(kept)
    except MemoryError:
        return {"ready": False, "reason": "importing what is needed takes more than the limit of memory"}
    gc.freeze()
    return {"ready": True}


def _work(job: Job, received: float, kept: Kept, answer: TextIO) -> None:
    """Answer one job."""
    speaking = logging.StreamHandler(sys.stderr)
    speaking.setFormatter(MessageFormatter())
    logging.basicConfig(handlers=[speaking])
    logging.getLogger().setLevel(_level(job.verbosity))

    deadline = Deadline(received + job.seconds)
    answering = Answering(job.number, answer)
    tell = answering.tell
    try:
        if job.parcel:
            tell(contribution(job, deadline, kept))
            return
        for record in answers(job, deadline, tell, kept, partial(watched, answering, deadline)):
            if not tell(record):
                break  # it came too late
    except VnnverifyError as error:
        logger.debug("bad input", exc_info=True)
        tell({"input_error": str(error), "kind": type(error).__name__})
    except MemoryError:
        tell({"verdict": "error", "reason": "out of memory", "cause": "memory", "spent": True})


def _tell(record: dict[str, Any], answer: TextIO) -> None:
    answer.write(json.dumps(record) + "\n")
    answer.flush()


def _level(verbosity: int) -> int:
    return (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]


if __name__ == "__main__":
    main()
