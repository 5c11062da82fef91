# SPDX-License-Identifier: Apache-2.0
"""Every test of an argument `case` runs on all one-operator models."""

from __future__ import annotations

import pytest
from node_cases import CASES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda case: case.id)
