# SPDX-License-Identifier: Apache-2.0
"""Bounds of networks over regions, as a library."""
