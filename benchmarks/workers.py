# SPDX-License-Identifier: Apache-2.0
"""Compares one search shared by several worker processes with the same search on one core.

    python benchmarks/workers.py MODEL QUERY [--workers 2] [--times 5] [--timeout 120] [-- VERIFY OPTIONS]

The two take turns. Of each pair it prints the ratio of the searches' times (those of the turns, so without
the start of the processes), that of the whole runs, and the processor time; at the end the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys


def main() -> None:
    """Run the pairs, print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("query")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=120.0)
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    args = parser.parse_args(given[:end], argparse.Namespace(options=given[end + 1 :]))
    searches, wholes = [], []
    for number in range(args.times):
        alone, shared = run(args, 1), run(args, args.workers)
        searches.append(alone[1] / shared[1])
        wholes.append(alone[2] / shared[2])
        print(
            f"{number + 1}: {alone[0]} / {shared[0]}, search {alone[1]:.1f} / {shared[1]:.1f} s = "
            f"{searches[-1]:.2f}, whole {alone[2]:.1f} / {shared[2]:.1f} s = {wholes[-1]:.2f}, "
            f"processor {alone[3]:.1f} / {shared[3]:.1f} s",
            flush=True,
        )
    print(
        f"{args.workers} workers, median of {args.times}: search {statistics.median(searches):.2f}, "
        f"whole {statistics.median(wholes):.2f} times as fast as one core"
    )


def run(args: argparse.Namespace, workers: int) -> tuple[str, float, float, float]:
    """Verdict, seconds of the backends' turns, seconds in all and processor seconds, on as many cores as
    there are workers."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < workers:
        raise SystemExit(f"{workers} workers need as many cores; there are {len(cores)}")
    command = [sys.executable, "-m", "vnnverify", "verify", args.model, args.query, "--json"]
    command += ["--timeout", str(args.timeout), "--workers", str(workers), *args.options]
    before = os.times()
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores[:workers]),
    )
    after = os.times()
    record = json.loads(done.stdout)
    turns = sum(turn["seconds"] for each in record["stats"].values() for turn in each)
    spent = sum(after[2:4]) - sum(before[2:4])
    return record["verdict"], turns, record["seconds"], spent


if __name__ == "__main__":
    main()
