# SPDX-License-Identifier: Apache-2.0
"""Log records as lines for people."""

from __future__ import annotations

import logging

import pytest

from vnnverify.process.messages import MessageFormatter


@pytest.mark.parametrize(
    ("name", "level", "root", "line"),
    [
        ("vnnverify.process.worker", logging.INFO, logging.INFO, "5 beads"),
        ("__main__", logging.INFO, logging.INFO, "5 beads"),
        ("vnnverify_milp.solve", logging.INFO, logging.INFO, "5 beads"),
        ("torch.onnx", logging.INFO, logging.INFO, "torch.onnx: 5 beads"),
        ("vnnverify.loading.fitting", logging.WARNING, logging.WARNING, "warning: 5 beads"),
        ("torch.onnx", logging.ERROR, logging.WARNING, "error: torch.onnx: 5 beads"),
        ("vnnverify.process.worker", logging.INFO, logging.DEBUG, "vnnverify.process.worker: 5 beads"),
        ("vnnverify.process.worker", logging.DEBUG, logging.DEBUG, "vnnverify.process.worker: 5 beads"),
    ],
)
def test_line(name: str, level: int, root: int, line: str) -> None:
    before = logging.getLogger().level
    logging.getLogger().setLevel(root)
    try:
        record = logging.LogRecord(name, level, "x.py", 1, "%d beads", (5,), None)
        assert MessageFormatter().format(record) == line
    finally:
        logging.getLogger().setLevel(before)
