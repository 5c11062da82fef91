# SPDX-License-Identifier: Apache-2.0
"""What is tried when, and every number that steers it."""
