# SPDX-License-Identifier: Apache-2.0
"""Named backends, one file each."""
