# SPDX-License-Identifier: Apache-2.0
"""Abstract domains: rule tables over operators and their traits."""

from vnnverify.domains.domain import Domain, propagate

__all__ = ["Domain", "propagate"]
