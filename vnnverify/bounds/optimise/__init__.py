# SPDX-License-Identifier: Apache-2.0
"""Slopes and multipliers chosen by gradient ascent."""
