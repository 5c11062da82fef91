# SPDX-License-Identifier: Apache-2.0
"""Whether a CUDA device bounds, attacks and searches as the CPU does, and how fast it is.

The script is cuda.py. Three parts, together about five minutes. Every bounding method bounds the margins of
two networks on both: in float64 the bounds may differ by 1e-9 of their size, in float32 by 1e-3; where slopes
are optimised, which sums in another order lead elsewhere, by 5 %; and none may lie above a margin at a
sampled point. Then subproblems of the search are bounded in batches. Then ten instances are decided on both;
a verdict that is not the known one counts as wrong. Without such a device nothing is done, which is said;
`--device cpu` compares the CPU with itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from instances import matmul_rate, read_rows, write_section
from roofline import linear_maps
from torch import Tensor

from vnnverify import Box, Clause, Deadline, Polytope, Query, verify
from vnnverify.bounds.method import Resources
from vnnverify.bounds.methods import METHODS
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.deadline import OutOfTime
from vnnverify.loading.loader import load_query
from vnnverify.numerics import direct_convolutions

NETWORKS = {
    "mnist_fc 256x6": ("mnist_fc", "onnx/mnist-net_256x6.onnx", "vnnlib/prop_1_0.03.vnnlib"),
    "sri_resnet_a": (
        "sri_resnet_a",
        "onnx/resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1.onnx",
        "vnnlib/cifar10_spec_idx_3882_eps_0.00350.vnnlib",
    ),
}
INSTANCES = (
    *(("acasxu", verdict) for verdict in ("sat", "unsat")),
    *(("mnist_fc", verdict) for verdict in ("sat", "unsat")),
    *(("safenlp", verdict) for verdict in ("sat", "unsat")),
    ("rl_benchmarks", "unsat"),
    ("dist_shift", "unsat"),
    ("oval21", "unsat"),
    ("sri_resnet_a", "unsat"),
)
"""The first instance of each family with this verdict."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
ASCENT_TOLERANCE = 0.05
LONGEST = 20.0  # seconds for a method on either device, and for an instance
SAMPLES = 2000
BATCHES = (64, 256, 1024, 4096, 16384, 65536)
STEPS = 10
SPENT = 5.0  # seconds of one batch beyond which no larger one is tried


def main() -> int:
    """Check, measure, print and write; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        prog="cuda.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the folder with the families")
    parser.add_argument("--device", default="cuda", help="what to compare with the CPU")
    parser.add_argument(
        "--write", metavar="TITLE", help="put the tables under TITLE into benchmarks/README.md"
    )
    args = parser.parse_args()
    if args.device != "cpu" and not torch.cuda.is_available():
        print(f"torch finds no CUDA device here, so nothing was checked (torch {torch.__version__})")
        return 0
    name = torch.cuda.get_device_name(args.device) if args.device != "cpu" else "the CPU itself"
    with direct_convolutions():
        rate = matmul_rate(args.device)
    lines = [
        f"{name}; float32 matrix product of 2048 square: {rate:,.0f} GFLOP/s there, "
        f"{matmul_rate():,.0f} on the CPU ({torch.get_num_threads()} threads). No TF32."
    ]
    print(lines[0], flush=True)
    for part in (_bounds, _speed, _instances):
        lines.append("")
        for line in part(args.folder, args.device):
            print(line, flush=True)
            lines.append(line)
    if args.write:
        write_section(args.write, "\n".join(lines))
    return int(any("WRONG" in line for line in lines))


def _bounds(folder: Path, device: str) -> Iterator[str]:
    """A table of all methods on both devices."""
    yield "| network | method | type | CPU s | device s | largest difference | agreement |"
    yield "|---|---|---|---|---|---|---|"
    for network, files in NETWORKS.items():
        if not (folder / files[0]).exists():
            continue
        query = _margins(folder, *files)
        worst = _least_margins(query)
        for name in METHODS:
            for dtype in (torch.float64, torch.float32):
                if name == "forward" and query.graph.input_size > 1000:
                    continue  # two functions of all inputs for every neuron
                (host, spent), (other, there) = (_bounded(query, name, dtype, d) for d in ("cpu", device))
                start = f"| {network} | {name} | {str(dtype)[6:]} | {spent:.2f} | {there:.2f} |"
                if host is None or other is None:
                    yield f"{start} – | not in {LONGEST:.0f} s |"
                    continue
                difference = float(((host - other).abs() / (1 + host.abs())).max())
                allowed = ASCENT_TOLERANCE if name == "alpha-crown" else TOLERANCE[dtype]
                sound = bool((other <= worst).all())
                agrees = "agrees" if difference <= allowed and sound else "WRONG"
                yield f"{start} {difference:.1e} | {agrees if sound else 'WRONG: above a margin'} |"


def _bounded(query: Query, name: str, dtype: torch.dtype, device: str) -> tuple[Tensor | None, float]:
    """The margins' lower bounds (S,) on the CPU in float64, and seconds; None if the time was not enough."""
    (clause,) = query.clauses
    graph = query.graph.to(device, dtype)
    lower, upper = (end.to(device)[None] for end in (clause.region.lower, clause.region.upper))
    spec = Specification.of([clause], graph.output_size, torch.device(device))
    started = time.perf_counter()
    try:
        limits = Resources(Deadline.after(LONGEST))
        found = METHODS[name].bound(graph, Box(lower, upper), spec, None, limits).lower[0].cpu().double()
    except OutOfTime:
        found = None
    return found, time.perf_counter() - started


def _least_margins(query: Query) -> Tensor:
    """The least value of each margin at sampled points, which no bound may exceed: (S,)."""
    (clause,) = query.clauses
    x = clause.region.sample(SAMPLES, torch.Generator().manual_seed(0))
    y = query.graph.to("cpu", torch.float64)(x)
    margins = y @ clause.unsafe[0].A.T - clause.unsafe[0].b
    return margins.amin(dim=0) + 1e-9 * (1 + margins.abs().amax(dim=0))


def _speed(folder: Path, device: str) -> Iterator[str]:
    """A table of batch sizes of subproblems."""
    yield f"A subproblem is {STEPS} gradient steps in float32."
    yield ""
    yield "| network | batch | subproblems a second | MiB | linear maps, GFLOP/s | share of the step |"
    yield "|---|---|---|---|---|---|"
    for network, files in NETWORKS.items():
        if not (folder / files[0]).exists():
            continue
        query = _margins(folder, *files)
        with torch.no_grad(), direct_convolutions():
            yield from _batches(network, query, device)


def _batches(network: str, query: Query, device: str) -> Iterator[str]:
    region = query.clauses[0].region
    graph = query.graph.to(device, torch.float32)
    lower, upper = (end[None].to(device, torch.float32) for end in (region.lower, region.upper))
    tool = Propagator(graph, None, torch.float32)
    state = tool.propagate(lower, upper, Deadline.after(LONGEST))
    dual = Dual(tool.graph, state)
    rows = query.clauses[0].unsafe[0].A[:1].to(device, torch.float32)
    for batch in BATCHES:
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats(device)
        box = torch.zeros(batch, dtype=torch.long, device=device)
        offset = torch.full((batch, 1), 1e3, device=device)  # never proved: no step is skipped
        try:
            problems = dual.problems(box, rows.expand(batch, 1, -1), offset)
            step = _seconds(lambda p=problems: dual.ascend(p, STEPS, Deadline.never()), device)
            memory = torch.cuda.max_memory_allocated(device) >> 20 if device != "cpu" else 0
            bare, flops = linear_maps(tool.graph, batch, device)
            roof = _seconds(bare, device)
        except torch.OutOfMemoryError:
            yield f"| {network} | {batch} | out of memory | | | |"
            break
        share = 100 * roof * (STEPS + 1) / step
        yield (
            f"| {network} | {batch} | {batch / step:,.0f} | {memory:,} | {flops / roof / 1e9:,.0f} | "
            f"{share:.0f} % |"
        )
        if step > SPENT:
            break


def _instances(folder: Path, device: str) -> Iterator[str]:
    """A table of verdicts and times: attacks find what is sat, searches prove what is unsat."""
    yield "| family | property | expected | CPU | CPU s | device | device s | |"
    yield "|---|---|---|---|---|---|---|---|"
    for family, verdict in INSTANCES:
        if not (folder / family).exists():
            continue
        known = [row for row in read_rows(folder / family) if row[2] == verdict]
        for model, prop, expected in known[:1]:
            files = [str(_path(folder / family / name)) for name in (model, prop)]
            told = []
            for where in ("cpu", device):
                started = time.perf_counter()
                result = verify(*files, timeout=LONGEST, device=where, isolated=False)
                told.append((str(result.verdict.value), time.perf_counter() - started))
            wrong = any(said in ("sat", "unsat") and said != expected for said, _ in told)
            cells = " | ".join(f"{said} | {seconds:.2f}" for said, seconds in told)
            yield f"| {family} | {Path(prop).stem} | {expected} | {cells} | {'WRONG' if wrong else ''} |"


def _seconds(work: Callable[[], object], device: str) -> float:
    """Wall time of the second of two calls, the device's own work included."""
    for _ in range(2):
        if device != "cpu":
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _margins(folder: Path, family: str, model: str, prop: str) -> Query:
    """The margins of the class at the centre of an instance's box over all other classes."""
    query = load_query(*(str(_path(folder / family / name)) for name in (model, prop)))
    region = query.clauses[0].region
    y = query.graph.to("cpu", torch.float64)((region.lower + region.upper)[None] / 2)[0]
    label, eye = int(y.argmax()), torch.eye(y.numel(), dtype=torch.float64)
    rows = torch.cat([eye[label] - eye[:label], eye[label] - eye[label + 1 :]])
    return query.with_clauses([Clause(region, (Polytope.of(rows, torch.zeros(len(rows))),))])


def _path(path: Path) -> Path:
    return path if path.exists() else path.with_name(path.name + ".gz")
