# SPDX-License-Identifier: Apache-2.0
"""The node tests that come with onnx, through the importer."""

from standard_nodes.judging import Outcome, outcomes
from standard_nodes.listing import refused, table

__all__ = ["Outcome", "outcomes", "refused", "table"]
