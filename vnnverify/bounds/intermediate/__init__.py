# SPDX-License-Identifier: Apache-2.0
"""Tighter bounds inside the network than one backward pass gives."""
