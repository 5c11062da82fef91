# SPDX-License-Identifier: Apache-2.0
"""Runs over parts of the same list, joined into one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vnnverify.errors import OptionError
from vnnverify.inputs.files import read_bytes
from vnnverify.results import write_file
from vnnverify.results.jsonl import read_report
from vnnverify.suites.header import Header
from vnnverify.suites.journal import Journal, read_header, read_journal
from vnnverify.suites.record import Record
from vnnverify.suites.summary import Summary
from vnnverify.suites.vnncomp_table import TABLE, results_table

__all__ = ["merge"]

_MAY_DIFFER = ("shard", "only", "expected")
"""Options that say which instances a part is about, or where a file lies on its machine."""


def merge(folders: Sequence[str | Path], out: str | Path) -> Summary:
    """Write the finished instances of all folders into a new one, with their result files.

    What several parts have answered is taken from one that decides it.

    Raises:
        FileError: a folder holds no run, or `out` holds something.
        OptionError: the parts were asked otherwise, are of different lists, or contradict each other.
    """
    parts = [(Path(folder), read_header(folder), read_journal(folder)) for folder in folders]
    first = parts[0][1]
    chosen: dict[int, tuple[Path, Record]] = {}
    for folder, header, records in parts:
        _require_same_manner(first, header, folder)
        for record in records:
            known = chosen.get(record.index)
            if known is None or _better(known, (folder, record)):
                chosen[record.index] = (folder, record)
    left = sum(header.instances - len(records) for _, header, records in parts)
    options = {**first.options, **dict.fromkeys(_MAY_DIFFER)}
    header = dataclasses.replace(first, instances=len(chosen) + left, options=options)
    with Journal(out, header) as journal:
        for index in sorted(chosen):
            folder, record = chosen[index]
            path = folder / record.result
            text = read_bytes(path).decode() if record.result and path.is_file() else ""
            journal.add(record, read_report(text, str(path)) if text else None)
    records = [chosen[index][1] for index in sorted(chosen)]
    write_file(str(Path(out) / TABLE), results_table(records))
    return Summary(header.instances, tuple(records))


def _require_same_manner(one: Header, other: Header, folder: Path) -> None:
    def asked(header: Header) -> dict[str, Any]:
        return {name: value for name, value in header.options.items() if name not in _MAY_DIFFER}

    theirs = asked(other)
    for name, value in asked(one).items():
        if theirs.get(name) != value:
            raise OptionError(
                f"{folder}: its run was started with {name} {theirs.get(name)!r}, the first with {value!r}"
            )


def _better(known: tuple[Path, Record], new: tuple[Path, Record]) -> bool:
    """Whether the new answer to the same instance is to replace the known one.

    Raises:
        OptionError: they are about different instances, or contradict each other.
    """
    (folder, old), (other, record) = known, new
    if old.key != record.key:
        raise OptionError(
            f"{other}: instance {record.index} is {record.model} {record.query}, in {folder} it is "
            f"{old.model} {old.query}; these are no parts of one list"
        )
    if old.verdict.decided and record.verdict.decided and old.verdict is not record.verdict:
        raise OptionError(
            f"{record.family}/{record.model} {record.query}: {old.verdict.value} in {folder}, "
            f"{record.verdict.value} in {other}; nothing is merged"
        )
    return record.verdict.decided and not old.verdict.decided
