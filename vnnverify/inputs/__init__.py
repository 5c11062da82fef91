# SPDX-License-Identifier: Apache-2.0
"""The files that a user gives, as far as they can be told apart without parsing them."""
