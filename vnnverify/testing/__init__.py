# SPDX-License-Identifier: Apache-2.0
"""The conformance kit: what a backend, a domain or an operator must do, as checks to run on yours.

from vnnverify.testing import Settings, parametrize_with_backend_checks

@parametrize_with_backend_checks([Mine()], settings=Settings(must_decide={"point_sat"}))
def test_mine(backend, check):
    check(backend)
"""

from vnnverify.testing.backend_checks import BACKEND_CHECKS
from vnnverify.testing.conformance import check_backend, parametrize_with_backend_checks
from vnnverify.testing.domain_checks import check_domain
from vnnverify.testing.network import Network
from vnnverify.testing.operator_cases import OperatorCase, operator_cases
from vnnverify.testing.operator_checks import check_operator
from vnnverify.testing.overflow_checks import check_overflow
from vnnverify.testing.records import CheckFailure, CheckRecord, CheckSkipped
from vnnverify.testing.source import ModelSource, query_of
from vnnverify.testing.subject import Settings, context
from vnnverify.testing.zoo import Specimen, box, halfspaces, zoo

__all__ = [
    "BACKEND_CHECKS",
    "CheckFailure",
    "CheckRecord",
    "CheckSkipped",
    "ModelSource",
    "Network",
    "OperatorCase",
    "Settings",
    "Specimen",
    "box",
    "check_backend",
    "check_domain",
    "check_operator",
    "check_overflow",
    "context",
    "halfspaces",
    "operator_cases",
    "parametrize_with_backend_checks",
    "query_of",
    "zoo",
]
