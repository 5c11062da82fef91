# SPDX-License-Identifier: Apache-2.0
"""Whole suites of instances: the list, the workers, the journal. Imports neither torch nor onnx."""

from vnnverify.evaluation.header import Header
from vnnverify.evaluation.journal import read_header, read_journal
from vnnverify.evaluation.record import Record

__all__ = ["Header", "Record", "read_header", "read_journal"]
