# SPDX-License-Identifier: Apache-2.0
"""What ended a process, told from its exit code and from what the kernel says about memory."""

from __future__ import annotations

import contextlib
import signal

__all__ = ["ending", "kills_for_memory"]

_COUNTERS = "/proc/vmstat"


def kills_for_memory(path: str = _COUNTERS) -> int | None:
    """How many processes the kernel has killed since it started because memory ran out; None where it does
    not say."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as counters:
        for line in counters:
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None


def ending(code: int | None, before: int | None, now: int | None) -> tuple[str, str]:
    """The cause and the words for the end of a process.

    Args:
        code: its exit code, the negative number of a signal; None: it has not ended.
        before, now: the kernel's kills for want of memory when the process started, and after its end.
    """
    if code is None:
        return "exit", "it closed its output"
    if code >= 0:
        return "exit", f"exit code {code}"
    name = signal.Signals(-code).name
    if name == "SIGSEGV":
        return "crash", f"killed by {name}; a crash in native code"
    if name != "SIGKILL":
        return "crash", f"killed by {name}"
    if before is None or now is None:
        return "killed", f"killed by {name}; by another program, or for want of memory"
    if now > before:
        return "killed", f"killed by {name}; the system ran out of memory"
    return "killed", f"killed by {name}; by another program, as the system did not run out of memory"
