# SPDX-License-Identifier: Apache-2.0
"""Running verifications: at once, in the background, in an event loop, or many of them."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from vnnverify.api.arguments import check_keywords, named_backends, written_options
from vnnverify.api.files import given_as_files
from vnnverify.api.result import Result
from vnnverify.errors import OptionError, VnnverifyError
from vnnverify.process.job import Job, Progress
from vnnverify.process.supervisor import make_report, supervise
from vnnverify.results.report import Report
from vnnverify.verdict import Verdict

__all__ = ["Run", "start", "verify", "verify_async", "verify_many"]

Told = Callable[[Progress], None]


def verify(
    model: Any,
    property: Any,
    *,
    timeout: float = 300.0,
    backend: str | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    seed: int = 0,
    explain: bool = False,
    progress: Told | None = None,
    input_shape: Sequence[int] | None = None,
    strict: bool = False,
    workers: int = 0,
    isolated: bool = True,
    cancelled: threading.Event | None = None,
) -> Result:
    """Decide whether the model has the property.

    Args:
        model: a path (.gz is fine), ONNX bytes, an `onnx.ModelProto`, a `torch.nn.Module`, or what
            `torch.export.export` or `torch.onnx.export` makes of one; or several of these, by the names that
            a VNN-LIB 2.0 property gives them.
        property: a path, VNN-LIB text (which states what must not happen), or a `vnnverify.Property`
            (which states what must hold).
        timeout: seconds of wall time in all; `math.inf` for none.
        backend: names of backends in turn, "a,b" or a list; None for the automatic order.
        options: options of backends, by `key` or `backend.key`.
        device: auto, cpu, cuda or cuda:N.
        dtype: float32 or float64, the type of the search; proofs account for its rounding.
        explain: say of an undecided result why it is, under `explanation`.
        progress: called with a `Progress` on the way; what it raises ends the run.
        input_shape: of a torch module that is verified against VNN-LIB text.
        strict: keep to the letter of VNN-LIB 2.0: refuse other words and shapes, and texts about floats.
        workers: processes that may share a long search; 0: one for each core. Without `isolated` it is not
            shared.
        isolated: run in a process of its own, which the time limit ends whatever it does, and whose crash
            is a result. Otherwise in this process: quicker to start, and the limit holds as far as
            backends look at the clock.
        cancelled: set by another thread, it has the process killed.

    Raises:
        VnnverifyError: the model, the property or an option is bad.
        concurrent.futures.CancelledError: it was cancelled.
    """
    started = time.monotonic()
    if cancelled is not None and not isolated:
        raise OptionError("only what has a process of its own can be cancelled; leave `isolated` out")
    check_keywords(timeout=timeout, device=device, dtype=dtype, seed=seed, workers=workers)
    names, written = named_backends(backend), written_options(options)
    with given_as_files(model, property, input_shape) as files:
        job = Job(
            model=files.model,
            query=files.query,
            seconds=float(timeout),
            backends=names,
            options=written,
            device=str(device),
            dtype=dtype,
            seed=int(seed),
            explain=explain,
            strict=strict,
            workers=int(workers) if isolated else 1,
        )
        try:
            if isolated:
                report = supervise(job, timeout, started, progress=progress, cancelled=cancelled)
            else:
                report = _verify_here(job, timeout, started, progress)
        except VnnverifyError as error:
            raise files.reworded(error) from None
        return Result(files.renamed(report))


def _verify_here(job: Job, timeout: float, started: float, progress: Told | None) -> Report:
    """The job done in this process, which keeps its number of threads."""
    import torch

    from vnnverify.deadline import Deadline
    from vnnverify.process.answering import answers

    def told(record: dict[str, Any]) -> None:
        if progress is not None:
            progress(Progress(**record["progress"], seconds=time.monotonic() - started))

    threads = torch.get_num_threads()
    try:
        record: dict[str, Any] = {}
        for part in answers(
            dataclasses.replace(job, progress=progress is not None), Deadline(started + timeout), told
        ):
            record |= part
    finally:
        torch.set_num_threads(threads)
    return make_report(job, timeout, time.monotonic() - started, record)


class Run:
    """A verification that goes on in the background, in a process of its own."""

    def __init__(self, work: Callable[[threading.Event], Result]) -> None:
        self._cancelled = threading.Event()
        self._work = work
        self.future: Future[Result] = Future()
        """For `concurrent.futures.wait` and the like."""
        threading.Thread(target=self._do, daemon=True).start()

    def _do(self) -> None:
        try:
            result = self._work(self._cancelled)
        except BaseException as error:  # whoever asks for the result gets it
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or the other."""
        return self.future.done()

    def cancel(self) -> None:
        """Have the process killed. `result` raises `CancelledError` unless it was there before."""
        self._cancelled.set()

    def result(self, timeout: float | None = None) -> Result:
        """The result, once it is there.

        Raises:
            TimeoutError: not within so many seconds; the run goes on.
            CancelledError: the run was cancelled.
            VnnverifyError: the model, the property or an option is bad.
        """
        return self.future.result(timeout)


def start(model: Any, property: Any, **how: Any) -> Run:
    """`verify` in the background. The keywords are the same, without `isolated`; `progress` is called in
    another thread."""
    return Run(lambda cancelled: verify(model, property, cancelled=cancelled, **how))


async def verify_async(model: Any, property: Any, *, progress: Told | None = None, **how: Any) -> Result:
    """`verify` in an event loop. The keywords are the same, without `isolated`; `progress` is called in the
    loop. When the task is cancelled, the process is killed before `asyncio.CancelledError` gets through."""
    loop = asyncio.get_running_loop()

    def told(step: Progress) -> None:
        if progress is not None:
            loop.call_soon_threadsafe(progress, step)

    run = start(model, property, progress=None if progress is None else told, **how)
    ended = asyncio.wrap_future(run.future)
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        run.cancel()
        await asyncio.wait([ended])
        if not ended.cancelled():
            ended.exception()  # it has been seen: nobody else will ask
        raise


def verify_many(
    instances: Iterable[tuple[Any, Any]], *, jobs: int = 1, **how: Any
) -> Iterator[tuple[tuple[Any, Any], Result]]:
    """Verify pairs (model, property), up to `jobs` at a time, and yield (pair, result) as they finish.

    The keywords are those of `verify`, without `isolated`; the time limit is that of each pair. A pair that
    cannot be read has a result too, with the verdict ERROR. Pairs are taken from `instances` as they are
    needed; closing the generator kills what still runs.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise OptionError(f"jobs={jobs!r}: expected a whole number, one or more")
    source = iter(instances)
    running: dict[Future[Result], tuple[Run, tuple[Any, Any]]] = {}
    try:
        while True:
            while len(running) < jobs and (pair := next(source, None)) is not None:
                run = start(*pair, **how)
                running[run.future] = run, pair
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                _, pair = running.pop(future)
                yield pair, _settled(future, pair)
    finally:
        for run, _ in running.values():
            run.cancel()
        wait(running)


def _settled(future: Future[Result], pair: tuple[Any, Any]) -> Result:
    try:
        return future.result()
    except VnnverifyError as error:
        model, query = (part if isinstance(part, str) else type(part).__name__ for part in pair)
        return Result(Report(model, query, Verdict.ERROR, str(error)))
