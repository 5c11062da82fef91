# SPDX-License-Identifier: Apache-2.0
"""`check_backend` and its form for pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from vnnverify.plugin.backend import Backend
from vnnverify.testing.backend_checks import BACKEND_CHECKS, BackendCheck
from vnnverify.testing.records import CheckRecord, CheckSkipped, run_checks
from vnnverify.testing.subject import Settings, name_of

if TYPE_CHECKING:
    import pytest

__all__ = ["check_backend", "parametrize_with_backend_checks"]


def check_backend(
    backend: Backend[Any],
    *,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: str = "raise",
    settings: Settings | None = None,
) -> list[CheckRecord]:
    """Run every check on a backend.

    Args:
        expected_failures: check name -> why it may fail.
        on_fail: `raise` at the first failure, `warn`, or `record`.
        settings: times, and what the backend must decide.

    Raises:
        CheckFailure: a check failed unexpectedly and `on_fail` is `raise`.
    """
    chosen = settings or Settings()
    checks = [(check.__name__, partial(check, backend, chosen)) for check in BACKEND_CHECKS]
    return run_checks(name_of(backend), checks, expected_failures or {}, on_fail)


def parametrize_with_backend_checks(
    backends: Iterable[Backend[Any]],
    *,
    expected_failures: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> pytest.MarkDecorator:
    """A pytest decorator for `def test(backend, check): check(backend)`: one test per backend and check.

    Raises:
        ValueError: an expected failure names no check.
    """
    import pytest

    expected, chosen = expected_failures or {}, settings or Settings()
    unknown = set(expected) - {check.__name__ for check in BACKEND_CHECKS}
    if unknown:
        raise ValueError(f"expected_failures names no check: {', '.join(sorted(unknown))}")
    cases = []
    for backend in backends:
        for check in BACKEND_CHECKS:
            name = check.__name__
            marks = [pytest.mark.xfail(reason=expected[name])] if name in expected else []
            case = pytest.param(
                backend,
                _for_pytest(check, chosen),
                id=f"{name_of(backend)}-{name}",
                marks=marks,
            )
            cases.append(case)
    return pytest.mark.parametrize(("backend", "check"), cases)


def _for_pytest(check: BackendCheck, settings: Settings) -> Callable[[Backend[Any]], None]:
    def run(backend: Backend[Any]) -> None:
        import pytest

        try:
            check(backend, settings)
        except CheckSkipped as reason:
            pytest.skip(str(reason))

    run.__name__ = check.__name__
    run.__doc__ = check.__doc__
    return run
