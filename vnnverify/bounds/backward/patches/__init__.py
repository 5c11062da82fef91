# SPDX-License-Identifier: Apache-2.0
"""Backward rows that are zero outside a small patch of an image, as those of a convolution's outputs are.

A row over one output of a convolution reaches the inputs under its kernel only; one layer further back,
the inputs under the kernels of those. While that patch is smaller than the image, computing on the
patch alone saves most of the work. Such rows go through convolutions and their transposes, average pools,
sums, borders, joined channels and elementwise operators; anything else turns them into whole rows.

Channels come last: a convolution is then one matrix product for all rows and pixels, and what a row sees of
an image is copied pixel by pixel.

Source: the idea is that of the patches of Xu et al., arXiv:2002.12920.
"""

from vnnverify.bounds.backward.patches.patches import SMALL_IMAGE, Patches, is_image, narrowed, units
from vnnverify.bounds.backward.patches.placing import added
from vnnverify.bounds.backward.patches.rules import step

__all__ = ["SMALL_IMAGE", "Patches", "added", "is_image", "narrowed", "step", "units"]
