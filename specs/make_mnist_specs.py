# SPDX-License-Identifier: Apache-2.0
"""Makes mnist_*.vnnlib: may every pixel of a test image change by eps without changing the digit?

MNIST is read from the folder `data` under `VNNVERIFY_SHARED` (default: `shared` beside the repository).
"""

from __future__ import annotations

import os
from pathlib import Path

import torchvision
from vnnlib_text import HERE, box, disjunction, write_property

SHARED = Path(os.environ.get("VNNVERIFY_SHARED", HERE.parent.parent / "shared"))

CASES = (  # property, number of the test image, eps in grey levels of 255
    ("mnist_mlp_unsat", 0, 10),
    ("mnist_mlp_sat", 7, 24),
    ("mnist_mlp_hard", 9, 16),
    ("mnist_cnn_unsat", 0, 12),
    ("mnist_cnn_sat", 7, 20),
    ("mnist_cnn_hard", 7, 18),
)

if __name__ == "__main__":
    data = torchvision.datasets.MNIST(str(SHARED / "data"), train=False)
    for name, number, levels in CASES:
        pixels, label = data.data[number].reshape(-1).tolist(), int(data.targets[number])
        lower = [round(max(0, p - levels) / 255, 6) for p in pixels]
        upper = [round(min(255, p + levels) / 255, 6) for p in pixels]
        comment = (
            f"MNIST test image {number}, a {label}; every pixel may change by {levels}/255, within [0, 1]."
        )
        others = disjunction(f"(>= Y_{k} Y_{label})" for k in range(10) if k != label)
        write_property(name, comment, 784, 10, [*box(lower, upper), others])
