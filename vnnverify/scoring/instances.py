# SPDX-License-Identifier: Apache-2.0
"""Where the files of instances are, and how long each may take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vnnverify.suites.instances import Instance, Limit, find_lists, read_instances
from vnnverify.suites.runs import Name, RecordedRun, instance_name, name_of

__all__ = ["find_instances"]


def find_instances(runs: Iterable[RecordedRun], suites: Sequence[str] = ()) -> dict[Name, Instance]:
    """The instances by name: those of the suites (folders with instances.csv), and those of the runs that
    say where their files are.

    Raises:
        FileError, SpecError: a suite cannot be read.
    """
    found = {
        instance_name(r): Instance(r.index, r.family, r.folder, r.model, r.query, r.timeout, r.expected)
        for run in runs
        for r in run.records
        if r.folder
    }
    for instance in read_instances(find_lists(suites), Limit(), {}) if suites else []:
        found[name_of(instance.family, instance.model, instance.query)] = instance
    return found
