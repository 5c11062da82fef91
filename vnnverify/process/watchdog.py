# SPDX-License-Identifier: Apache-2.0
"""The last word on a job whose worker does not come back in time: what it has found so far."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from vnnverify.deadline import Deadline
from vnnverify.process.condition import WATCHDOG

__all__ = ["Answering", "LastWord", "watched"]

LATE = 0.3
"""Seconds past the limit after which what is known so far is the answer."""

logger = logging.getLogger(__name__)

LastWord = Callable[[], Iterator[dict[str, Any]]]
"""Makes the records of an answer here and now: the verdict's, and the explanation's if that says so."""


class Answering:
    """Writes a job's lines. Only the first verdict counts, and what comes after it from the same thread."""

    def __init__(self, number: int, out: TextIO) -> None:
        self._number = number
        self._out = out
        self._lock = threading.Lock()
        self._speaker: int | None = None

    def tell(self, record: dict[str, Any]) -> bool:
        """Write a record, unless another thread has given the verdict; whether it was written."""
        with self._lock:
            me = threading.get_ident()
            if self._speaker not in (None, me):
                return False
            if "progress" not in record:
                self._speaker = me
            self._out.write(_line({"number": self._number, **record}))
            self._out.flush()
            return True


def _line(record: dict[str, Any]) -> str:
    """The record as a line, without a certificate that JSON cannot hold."""
    try:
        return json.dumps(record) + "\n"
    except (TypeError, ValueError):
        if record.get("certificate") is None:
            raise
        logger.warning("the certificate is left out: JSON cannot hold it")
        return json.dumps({**record, "certificate": None}) + "\n"


@contextlib.contextmanager
def watched(answering: Answering, deadline: Deadline, last_word: LastWord) -> Iterator[None]:
    """While inside, `last_word` is given shortly after the deadline if no verdict has been."""

    def speak() -> None:
        try:
            for record in last_word():
                if not answering.tell({**record, "spent": True}):
                    break
        except Exception:  # fence: the supervising process then says that there was no answer
            logger.debug("no last word", exc_info=True)

    timer = threading.Timer(max(0.0, deadline.remaining()) + LATE, speak)
    timer.daemon = True
    timer.name = WATCHDOG
    if deadline.remaining() < threading.TIMEOUT_MAX / 2:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if timer.is_alive():
            timer.join()  # a warm worker has no more threads after a job than before
