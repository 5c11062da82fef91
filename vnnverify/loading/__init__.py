# SPDX-License-Identifier: Apache-2.0
"""From files to one query, and back: the judge of witnesses."""
