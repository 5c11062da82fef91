# SPDX-License-Identifier: Apache-2.0
"""Checks expected.csv with none of the project's own bounds: `python specs/check_specs.py [NAME …]`.

`sat` needs a witness, found by random search or by the big-M encoding, that onnxruntime confirms.
`unsat` is HiGHS' word on the big-M encoding, after boxes of few dimensions are cut up with zonotopes;
floating point and the solver's tolerances are taken on trust. Only the reading of the files is shared
with vnnverify.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from big_m import SLACK, Rows, solve
from dense_network import Array, Network, Zonotope, evaluate, read_network, side_by_side

from vnnverify.loading.loader import load_query
from vnnverify.query import Polytope, Query, Region

HERE = Path(__file__).parent
SAMPLES = 20000
CUTS = 400  # bisections of a low-dimensional box before what is left goes to HiGHS
FEW = 40  # undecided ReLUs that HiGHS takes as they are


def exposed_inputs(query: Query, outputs: int) -> list[int]:
    """Inputs that the normal form repeats behind the network's outputs, for rows that mix X and Y."""
    x = torch.linspace(1.0, 2.0, query.graph.input_size, dtype=torch.float64)
    repeated = query.graph(x[None])[0, outputs:]
    return [int((x == value).nonzero()) for value in repeated]


def rows_of(polytope: Polytope, outputs: int, exposed: list[int], inputs: int) -> Rows:
    """A polytope over outputs and exposed inputs as rows over x and y."""
    A, b = polytope.A.numpy(), polytope.b.numpy()
    over_x = np.zeros((len(b), inputs))
    over_x[:, exposed] = A[:, outputs:]
    return Rows(over_x, A[:, :outputs], b)


def sampled(query: Query, network: Network, exposed: list[int]) -> bool:
    """Whether one of `SAMPLES` random points per clause is a witness."""
    generator = torch.Generator().manual_seed(0)
    for clause in query.clauses:
        x = clause.region.sample(SAMPLES, generator)
        at_upper = torch.rand(x[::2].shape, generator=generator) < 0.5
        x[::2] = torch.where(at_upper, clause.region.upper, clause.region.lower)
        y = torch.from_numpy(evaluate(network, x.numpy()))
        hits = x[clause.violated_by(x, torch.cat([y, x[:, exposed]], dim=1))]
        if any(query.source.replay(point).valid for point in hits[:20]):
            return True
    return False


def leaves(network: Network, region: Region, rows: Rows) -> Iterator[tuple[Array, Array]]:
    """Boxes that cover all points of the region that zonotopes cannot exclude."""
    boxes = [(region.lower.numpy(), region.upper.numpy())]
    cuts = CUTS if region.lower.numel() <= 8 else 0
    while boxes:
        lower, upper = boxes.pop()
        zonotope = Zonotope(network, lower, upper)
        spread = rows.over_y @ zonotope.generators
        spread[:, : lower.size] += rows.over_x * (upper - lower) / 2
        middle = rows.over_y @ zonotope.centre + rows.over_x @ (lower + upper) / 2 - rows.bound
        if (middle - np.abs(spread).sum(axis=1) > SLACK).any():
            continue
        if cuts <= 0 or zonotope.undecided < FEW:
            yield lower, upper
            continue
        cuts -= 1
        axis = int(np.abs(spread[:, : lower.size]).sum(axis=0).argmax())
        cut_upper, cut_lower = upper.copy(), lower.copy()
        cut_upper[axis] = cut_lower[axis] = (lower[axis] + upper[axis]) / 2
        boxes += [(lower, cut_upper), (cut_lower, upper)]


def verdict(model: Path, prop: Path) -> str:
    """The verdict found here: sat, unsat or open."""
    query = load_query(str(model), str(prop))
    copies = len(query.layout.inputs)  # of a network with one input
    network = side_by_side(read_network(model), copies, query.layout.columns)
    exposed = exposed_inputs(query, len(network[-1][1]))
    if sampled(query, network, exposed):
        return "sat"
    answers = set()
    for clause in query.clauses:
        linear = clause.region.linear
        cut = None if linear is None else (linear.A.numpy(), linear.b.numpy())
        for polytope in clause.unsafe:
            rows = rows_of(polytope, len(network[-1][1]), exposed, clause.region.lower.numel())
            for lower, upper in leaves(network, clause.region, rows):
                answer, x = solve(network, lower, upper, rows, cut)
                if x is not None and query.source.replay(torch.from_numpy(x)).valid:
                    return "sat"
                answers.add(answer)
    return "unsat" if answers <= {"unsat"} else "open"


def checked(names: list[str]) -> Iterator[tuple[str, str, str, float]]:
    """(property, expected, found, seconds) for each row of expected.csv, or the named ones."""
    with (HERE / "expected.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            prop = HERE.parent / row["vnnlib"]
            if not names or prop.stem in names:
                started = time.monotonic()
                found = verdict(HERE.parent / row["onnx"], prop)
                yield prop.stem, row["expected"], found, time.monotonic() - started


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, expected, found, seconds in checked(sys.argv[1:]):
        print(f"{name:24} expected {expected:8} found {found:6} {seconds:6.1f} s", flush=True)
