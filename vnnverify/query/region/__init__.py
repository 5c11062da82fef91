# SPDX-License-Identifier: Apache-2.0
"""Where inputs range: regions that know their own geometry."""

from vnnverify.query.region.ball import Ball
from vnnverify.query.region.box import Box
from vnnverify.query.region.part import Part
from vnnverify.query.region.region import Least, Region

__all__ = ["Ball", "Box", "Least", "Part", "Region"]
