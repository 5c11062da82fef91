# SPDX-License-Identifier: Apache-2.0
"""From a job to its answer, in a process of its own."""
