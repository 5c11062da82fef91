# SPDX-License-Identifier: Apache-2.0
"""Time and tightness of every bounding method at the root of a search, on one box and on ten.

    python benchmarks/roots.py FOLDER [--network NAME] [--method NAME] [--threads 2] [--write TITLE]

A box is that of an instance: of mnist_fc the properties 0 to 9 with eps 0.03, of the others the first
instances of the list; where there are fewer than ten, all. The figure is the sum over the boxes of the lower
bounds of all nine margins of the class at the box's centre: the larger, the tighter. Times are medians,
without the reading of the files. The script also runs in checkouts that have no `vnnverify.bounds`: there it
measures the bounds that searches start from, which are the method `combined` here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from instances import matmul_rate, read_rows, write_section
from torch import Tensor

from vnnverify import Clause, Deadline, Polytope, Query
from vnnverify.numerics import direct_convolutions

try:
    from vnnverify.bounds.method import Resources
    from vnnverify.bounds.methods import METHODS
    from vnnverify.bounds.propagation import Propagator
    from vnnverify.bounds.specification import Specification
    from vnnverify.deadline import OutOfTime
    from vnnverify.loading.loader import load_query
    from vnnverify.query import Box
except ImportError:  # before bounding methods were values
    from vnnverify.loader import load_query
    from vnnverify_bound_propagation.bounds import Propagator

    from vnnverify.search import Specification

    METHODS = {}

NETWORKS = {
    "mnist_fc 256x2": ("mnist_fc", "onnx/mnist-net_256x2.onnx"),
    "mnist_fc 256x4": ("mnist_fc", "onnx/mnist-net_256x4.onnx"),
    "mnist_fc 256x6": ("mnist_fc", "onnx/mnist-net_256x6.onnx"),
    "oval21 base": ("oval21", "onnx/cifar_base_kw.onnx"),
    "sri_resnet_a": ("sri_resnet_a", "onnx/resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1.onnx"),
}
BOXES = (1, 10)
QUOTED = {
    ("mnist_fc 256x6", 1): {"IBP": (0.008, -601552.0), "CROWN": (0.076, 8.784), "α-CROWN": (1.96, 8.791)},
    ("mnist_fc 256x6", 10): {"IBP": (0.010, -5.66e6), "CROWN": (0.66, -55916.0), "α-CROWN": (42.7, -21630.0)},
}
"""What auto_LiRPA 0.7.1 reached on the same boxes on two cores at about 48 GFLOP/s in float32, 20 steps of
α-CROWN: seconds and the same sum. Its intervals take the last layer and the margins in one product. Figures
of the other networks belong to boxes that are not among the instances here."""
MEMORY = 1 << 30  # bytes that the functions of forward bounds may take

Found = tuple[float, Tensor]


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the folder with the families")
    parser.add_argument("--network", action="append", choices=NETWORKS, help="repeatable [default: all]")
    parser.add_argument("--method", action="append", help="repeatable [default: all]")
    parser.add_argument("--boxes", action="append", type=int, help=f"repeatable [default: {BOXES}]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--longest", type=float, default=120.0, help="seconds a measurement may take")
    parser.add_argument(
        "--write", metavar="TITLE", help="put the table under TITLE into benchmarks/README.md"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = [
        "| network | boxes | method | seconds | sum of the margins' lower bounds |",
        "|---|---|---|---|---|",
    ]
    for network in args.network or NETWORKS:
        queries = list(_queries(args.folder, *NETWORKS[network]))
        if not queries:
            print(f"{network}: not in {args.folder}")
        for count in sorted({min(count, len(queries)) for count in args.boxes or BOXES} - {0}):
            begin = f"| {network} | {count} |"
            for name, bound in _methods(queries[:count], args.method, args.longest):
                seconds, total = _measured(bound, args.times)
                figure = "out of time" if total is None else f"{total:,.3f}"
                lines.append(f"{begin} {name} | {seconds:.3f} | {figure} |")
                print(lines[-1], flush=True)
            for name, (seconds, total) in QUOTED.get((network, count), {}).items():
                lines.append(f"{begin} auto_LiRPA, {name}, quoted | {seconds:.3f} | {total:,.3f} |")
    caption = (
        f"Medians of {args.times}, {args.threads} threads; float32 matrix product of 2048 square in the same "
        f"run: {matmul_rate():.0f} GFLOP/s. auto_LiRPA's figures are quoted, from two cores at "
        "48 GFLOP/s.\n\n"
    )
    print(caption + "\n".join(lines))
    if args.write:
        write_section(args.write, caption + "\n".join(lines))


def _queries(folder: Path, family: str, model: str) -> Iterator[Query]:
    """The queries of the first instances of a model, about the margins of the class at the centre."""
    home = folder / family
    if not home.exists():
        return
    props = [prop for name, prop, _ in read_rows(home) if name == model]
    if family == "mnist_fc":
        props = [f"vnnlib/prop_{k}_0.03.vnnlib" for k in range(max(BOXES))]
    for prop in props[: max(BOXES)]:
        query = load_query(_path(home / model), _path(home / prop))
        region = query.clauses[0].region
        y = query.graph.to("cpu", torch.float64)((region.lower + region.upper)[None] / 2)[0]
        label, eye = int(y.argmax()), torch.eye(y.numel(), dtype=torch.float64)
        rows = torch.cat([eye[label] - eye[:label], eye[label] - eye[label + 1 :]])
        yield query.with_clauses([Clause(region, (Polytope.of(rows, torch.zeros(len(rows))),))])


def _methods(
    queries: list[Query], chosen: list[str] | None, longest: float
) -> Iterator[tuple[str, Callable[[], Tensor | None]]]:
    """The methods that were chosen; each bounds the margins (B, S), or does not in the time."""
    graph = queries[0].graph.to("cpu", torch.float64)
    clauses = [query.clauses[0] for query in queries]
    lower, upper = (torch.stack([getattr(c.region, end) for c in clauses]) for end in ("lower", "upper"))
    spec = Specification.of(clauses, graph.output_size, lower.device)

    def started() -> Tensor | None:
        """The bounds that searches start from."""
        tool = Propagator(graph, None, torch.float64)
        state = tool.propagate(lower, upper, Deadline.after(longest))
        return tool.margins(state, spec)[0].lower

    if not METHODS:
        yield "start of a search", started
        return
    for name, method in METHODS.items():
        forms = 8.0 * len(clauses) * graph.input_size * max(node.output.size for node in graph.nodes)
        if name not in (chosen or METHODS) or (name == "forward" and forms > MEMORY):
            continue

        def bound(method=method) -> Tensor | None:  # type: ignore[no-untyped-def]
            try:
                limits = Resources(Deadline.after(longest))
                found = method.bound(graph, Box(lower, upper), spec, None, limits)
            except OutOfTime:
                return None
            return found.lower

        yield name, bound


def _measured(bound: Callable[[], Tensor | None], times: int) -> tuple[float, float | None]:
    """Median seconds, and the sum of what was bounded. A measurement over 20 seconds is made once."""
    seconds, total = [], None
    while len(seconds) < times and not (seconds and seconds[0] > 20.0):
        started = time.monotonic()
        with torch.no_grad(), direct_convolutions():
            found = bound()
        seconds.append(time.monotonic() - started)
        total = None if found is None else float(found.double().sum())
    return statistics.median(seconds), total


def _path(path: Path) -> str:
    return str(path if path.exists() else path.with_name(path.name + ".gz"))


if __name__ == "__main__":
    main()
