# SPDX-License-Identifier: Apache-2.0
"""What a search splits: bounds of batches of subproblems and branching scores."""
