# SPDX-License-Identifier: Apache-2.0
"""One page of HTML about whole runs: tables, plots, and every instance with its reason or witness."""

from vnnverify.report.page import build_page

__all__ = ["build_page"]
