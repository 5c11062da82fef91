# SPDX-License-Identifier: Apache-2.0
"""Why a query stays undecided: what is open, where the bounds get loose, what to try."""

from vnnverify.diagnosis.explain.explanation import explain

__all__ = ["explain"]
