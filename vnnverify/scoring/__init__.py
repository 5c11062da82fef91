# SPDX-License-Identifier: Apache-2.0
"""The competition's scoring of one or several tools' runs. Imports torch only to replay witnesses."""

from vnnverify.scoring.instances import find_instances
from vnnverify.scoring.rules import Board, Entry, Standing, score

__all__ = ["Board", "Entry", "Standing", "find_instances", "score"]
