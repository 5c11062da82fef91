# SPDX-License-Identifier: Apache-2.0
"""`python -m vnnverify`."""

from vnnverify.commands import main

main()
