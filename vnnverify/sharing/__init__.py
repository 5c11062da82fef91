# SPDX-License-Identifier: Apache-2.0
"""One query on many workers: open sub-problems are handed out and what is left of them comes back."""

from vnnverify.sharing.parcel import Parcel
from vnnverify.sharing.team import LAST_BATCH, Returned, Team

__all__ = ["LAST_BATCH", "Parcel", "Returned", "Team"]
