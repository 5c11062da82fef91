# SPDX-License-Identifier: Apache-2.0
"""What a check says: nothing, a failure, or that it does not apply here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["CheckFailure", "CheckRecord", "CheckSkipped", "Status", "demand", "for_each", "run_checks"]

MOST_FAILURES = 3
"""A check gives up after so many failures: what hangs once will hang again."""

T = TypeVar("T")
Status = Literal["passed", "failed", "expected failure", "skipped"]


class CheckFailure(AssertionError):
    """A check found what must not be."""


class CheckSkipped(Exception):
    """A check cannot be made here, say for want of a device."""


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """The result of one check on one subject."""

    subject: str
    check: str
    status: Status
    message: str = ""
    seconds: float = 0.0


def demand(condition: bool, message: str) -> None:
    """Raises:
    CheckFailure: the condition does not hold.
    """
    if not condition:
        raise CheckFailure(message)


def for_each(items: Iterable[T], check: Callable[[T], None]) -> None:
    """Apply a check to every item and tell all failures together, up to `MOST_FAILURES`.

    Raises:
        CheckFailure: some item failed.
    """
    failures: list[CheckFailure] = []
    for item in items:
        try:
            check(item)
        except CheckFailure as failure:
            failures.append(failure)
            if len(failures) == MOST_FAILURES:
                break
    if failures:
        raise CheckFailure("; ".join(map(str, failures))) from failures[0]


def run_checks(
    subject: str,
    checks: Iterable[tuple[str, Callable[[], None]]],
    expected_failures: Mapping[str, str],
    on_fail: str,
) -> list[CheckRecord]:
    """Run named checks and keep a record of each.

    Args:
        expected_failures: check name -> why it may fail.
        on_fail: `raise` at the first unexpected failure, `warn` at each, or `record` only.

    Raises:
        CheckFailure: a check failed and `on_fail` is `raise`.
        ValueError: `on_fail` is another word, or an expected failure names no check.
    """
    if on_fail not in ("raise", "warn", "record"):
        raise ValueError(f"on_fail={on_fail!r}: choose raise, warn or record")
    listed = list(checks)
    unknown = set(expected_failures) - {name for name, _ in listed}
    if unknown:
        raise ValueError(f"expected_failures names no check: {', '.join(sorted(unknown))}")
    records = []
    for name, check in listed:
        record = _run(subject, name, check, expected_failures.get(name))
        records.append(record)
        if record.status == "failed":
            text = f"{subject}: {name}: {record.message}"
            if on_fail == "raise":
                raise CheckFailure(text)
            if on_fail == "warn":
                warnings.warn(text, stacklevel=3)
    return records


def _run(subject: str, name: str, check: Callable[[], None], expected: str | None) -> CheckRecord:
    started = time.monotonic()
    status: Status = "passed"
    message = ""
    try:
        check()
    except CheckSkipped as reason:
        status, message = "skipped", str(reason)
    except Exception as error:  # fence: the subject is somebody else's code
        told = str(error) if isinstance(error, CheckFailure) else f"{type(error).__name__}: {error}"
        status, message = (
            ("failed", told) if expected is None else ("expected failure", f"{expected} ({told})")
        )
    return CheckRecord(subject, name, status, message, time.monotonic() - started)
