# SPDX-License-Identifier: Apache-2.0
"""Tests, and what they start, compute on one thread: in small networks more only wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported, which is later
