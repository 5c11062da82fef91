# SPDX-License-Identifier: Apache-2.0
"""What a search is given, for the tests of bounders."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from vnnverify import Context, Deadline


def context(confirm: Callable[[Tensor], bool] = lambda x: True, seconds: float = 60.0) -> Context:
    """A minute on a CPU, unless told otherwise."""
    return Context(
        deadline=Deadline.after(seconds),
        device=torch.device("cpu"),
        dtype=torch.float32,
        generator=torch.Generator().manual_seed(0),
        logger=logging.getLogger("test"),
        confirm=confirm,
    )
