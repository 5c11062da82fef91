# SPDX-License-Identifier: Apache-2.0
"""A slow but right backend, and others each of which is right but for one thing."""
