# SPDX-License-Identifier: Apache-2.0
"""JUnit XML for build servers: a test suite for each family, a test for each instance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from vnnverify.suites.record import Record
from vnnverify.verdict import Verdict

__all__ = ["junit_xml"]

_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def junit_xml(records: Sequence[Record], name: str = "vnnverify") -> str:
    """A test passes if the verdict is the expected one, or `unsat` where none is known; it fails if the
    instance is decided otherwise, is skipped if it is undecided, and is an error if the run failed."""
    root = ElementTree.Element("testsuites", name=_clean(name))
    for family in dict.fromkeys(record.family for record in records):
        own = [record for record in records if record.family == family]
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(family), tests=str(len(own)))
        outcomes = [_add(suite, record) for record in own]
        for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(attribute, str(outcomes.count(tag)))
        suite.set("time", f"{sum(record.seconds for record in own):.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(suite: ElementTree.Element, record: Record) -> str:
    """Add the instance's test; the tag of its outcome, empty if it passes."""
    test = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(record.family),
        name=_clean(f"{record.model} {record.query}"),
        time=f"{record.seconds:.3f}",
    )
    wanted = record.expected if record.expected is not None and record.expected.decided else Verdict.UNSAT
    if record.verdict is wanted:
        return ""
    tag = {Verdict.ERROR: "error", Verdict.UNKNOWN: "skipped", Verdict.TIMEOUT: "skipped"}
    outcome = tag.get(record.verdict, "failure")
    message = record.reason or f"{record.verdict.value} instead of {wanted.value}"
    ElementTree.SubElement(test, outcome, message=_clean(message), type=record.cause or record.verdict.value)
    return outcome


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
