# SPDX-License-Identifier: Apache-2.0
"""One query on many workers: open sub-problems are handed out and what is left of them comes back."""

from vnnverify.sharing.parcel import Parcel
from vnnverify.sharing.team import Returned, Team

__all__ = ["Parcel", "Returned", "Team"]
