# SPDX-License-Identifier: Apache-2.0
"""What a worker has to say, as lines for people."""

from __future__ import annotations

import logging

__all__ = ["MessageFormatter"]

_OWN = ("vnnverify", "__main__")


class MessageFormatter(logging.Formatter):
    """The sentence alone if it is vnnverify's own; other libraries' have their name before them, as all do
    where details are logged too. Warnings are called that."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        detailed = logging.getLogger().isEnabledFor(logging.DEBUG)
        if detailed or not record.name.partition(".")[0].startswith(_OWN):
            text = f"{record.name}: {text}"
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text
