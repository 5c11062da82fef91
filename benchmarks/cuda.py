# SPDX-License-Identifier: Apache-2.0
"""Whether a CUDA device bounds, attacks and searches as the CPU does, and how fast it is: see devices.py.

python benchmarks/cuda.py FOLDER [--device cuda] [--write TITLE]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    from devices import main

    sys.exit(main())

# Scripts of this folder have it in front of their path, where torch, looking for NVIDIA's package `cuda`,
# finds this file. It stands for that package then.
__path__ = [str(folder) for entry in sys.path if (folder := Path(entry, "cuda")).is_dir()]
