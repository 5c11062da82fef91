# SPDX-License-Identifier: Apache-2.0
"""From a query to its result: which backends have a turn, and what counts of what they say."""
