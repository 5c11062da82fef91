# SPDX-License-Identifier: Apache-2.0
"""What of a model can be worked with, why an answer stays open, and which part shows a failure."""
