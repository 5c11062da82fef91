# SPDX-License-Identifier: Apache-2.0
"""The checks of a backend, one idea per module. Each is a plain function of a backend and settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vnnverify.plugin.backend import Backend
from vnnverify.testing.backend_checks.deadline import check_expired_deadline, check_short_deadline
from vnnverify.testing.backend_checks.devices import check_cuda_agrees
from vnnverify.testing.backend_checks.imports import check_light_import
from vnnverify.testing.backend_checks.options import check_options
from vnnverify.testing.backend_checks.purity import check_process_untouched, check_query_untouched
from vnnverify.testing.backend_checks.repeatability import check_repeatable
from vnnverify.testing.backend_checks.results import check_plain_results
from vnnverify.testing.backend_checks.rewriting import (
    check_halves_combine,
    check_permuted_units_agree,
    check_scaled_outputs_agree,
    check_subsets_agree,
)
from vnnverify.testing.backend_checks.support import check_honest_support
from vnnverify.testing.backend_checks.truth import check_easy_decided, check_never_wrong, check_residuals
from vnnverify.testing.subject import Settings

__all__ = ["BACKEND_CHECKS", "BackendCheck"]

BackendCheck = Callable[[Backend[Any], Settings], None]

BACKEND_CHECKS: tuple[BackendCheck, ...] = (
    check_never_wrong,
    check_easy_decided,
    check_residuals,
    check_expired_deadline,
    check_short_deadline,
    check_query_untouched,
    check_process_untouched,
    check_repeatable,
    check_cuda_agrees,
    check_halves_combine,
    check_subsets_agree,
    check_permuted_units_agree,
    check_scaled_outputs_agree,
    check_honest_support,
    check_light_import,
    check_plain_results,
    check_options,
)
