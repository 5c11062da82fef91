# SPDX-License-Identifier: Apache-2.0
"""Whole suites of instances: the list, the workers, the journal. Imports neither torch nor onnx."""

from vnnverify.suites.header import Header
from vnnverify.suites.journal import read_header, read_journal
from vnnverify.suites.record import Record

__all__ = ["Header", "Record", "read_header", "read_journal"]
