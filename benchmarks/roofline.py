# SPDX-License-Identifier: Apache-2.0
"""How near a bounding step of the search over signs comes to this machine's rate on the same shapes.

    python benchmarks/roofline.py FOLDER [--threads N] [--write TITLE]

A gradient step on a batch of sub-problems must send rows backwards through every matrix product and
convolution, and points forwards. That alone, as bare calls on random numbers of the same shapes, is the
roof; what share of the step's time it takes is the figure. Both are measured in turn, in processor time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from instances import matmul_rate, write_section

from vnnverify import Deadline
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Affine, Graph, flat
from vnnverify.loading.loader import load_query

CASES = {
    "mnist_fc 256x6": ("mnist_fc", "onnx/mnist-net_256x6.onnx", "vnnlib/prop_0_0.03.vnnlib"),
    "sri_resnet_a": (
        "sri_resnet_a",
        "onnx/resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1.onnx",
        "vnnlib/cifar10_spec_idx_3882_eps_0.00350.vnnlib",
    ),
}
BATCHES = (1, 4, 16, 64, 256, 1024)
STEPS, ROUNDS = 10, 3
ROOT = 20.0  # seconds for bounds of the neurons: which of them are open hardly matters here
LONGEST = 6.0  # processor seconds of one ascent beyond which no larger batch is tried


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the folder with the families")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--write", metavar="TITLE", help="put the table under TITLE into benchmarks/README.md"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = [
        "| network | batch | sub-problems a second | linear maps alone, GFLOP/s | share of the step |",
        "|---|---|---|---|---|",
    ]
    for name, files in CASES.items():
        if not (args.folder / files[0]).exists():
            print(f"{name}: not in {args.folder}")
            continue
        for line in measured(name, *(_path(args.folder / files[0] / f) for f in files[1:])):
            print(line, flush=True)
            lines.append(line)
    caption = (
        f"A sub-problem is {STEPS} gradient steps in float32; processor time, medians of {ROUNDS}; "
        f"{args.threads} thread; float32 matrix product of 2048 square in the same run: "
        f"{matmul_rate():.0f} GFLOP/s.\n\n"
    )
    print(caption)
    if args.write:
        write_section(args.write, caption + "\n".join(lines))


def _path(path: Path) -> str:
    return str(path if path.exists() else path.with_name(path.name + ".gz"))


@torch.no_grad()
def measured(name: str, model: str, prop: str) -> list[str]:
    """One row of the table for each batch size."""
    query = load_query(model, prop)
    graph = query.graph.to("cpu", torch.float32)
    region = query.clauses[0].region
    tool = Propagator(graph, None, torch.float32)
    state = tool.propagate(region.lower[None].float(), region.upper[None].float(), Deadline.after(ROOT))
    dual = Dual(tool.graph, state)
    spec = Specification.of(query.clauses[:1], graph.output_size, torch.device("cpu"))
    row, offset = spec.C[0, :1].float(), spec.d[0, :1].float() + 1e3  # never proved: no step is skipped
    lines = []
    for batch in BATCHES:
        box = torch.zeros(batch, dtype=torch.long)
        rows, offsets = row.expand(batch, 1, -1), offset.expand(batch, 1)
        steps, bare = [], []
        linear, flops = linear_maps(tool.graph, batch)
        for _ in range(ROUNDS):
            problems = dual.problems(box, rows, offsets)
            steps.append(_seconds(lambda p=problems: dual.ascend(p, STEPS, Deadline.never())))
            bare.append(_seconds(linear))
        step, roof = statistics.median(steps), statistics.median(bare) * (STEPS + 1)
        rate = flops / statistics.median(bare) / 1e9
        lines.append(f"| {name} | {batch} | {batch / step:.3g} | {rate:.1f} | {100 * roof / step:.0f} % |")
        if step > LONGEST:
            break
    return lines


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return max(time.process_time() - started, 1e-9)


def linear_maps(graph: Graph, batch: int, device: str = "cpu") -> tuple[Callable[[], None], float]:
    """All matrix products and convolutions once forwards and once backwards on a batch, and their
    floating-point operations."""
    nodes = [n for n in graph.nodes if isinstance(n.op, Affine) and n.inputs and n.op.fan_in > 8]
    points = [[torch.randn(batch, *v.shape, device=device) for v in n.inputs] for n in nodes]
    rows = [torch.randn(batch, *n.output.shape, device=device) for n in nodes]
    flops = sum(4.0 * batch * flat(r).shape[1] * n.op.fan_in for n, r in zip(nodes, rows, strict=True))

    def work() -> None:
        for node, x, r in zip(nodes, points, rows, strict=True):
            node.op.linear(*x)
            node.op.adjoint(r, *(v.shape for v in node.inputs))

    return work, flops


if __name__ == "__main__":
    main()
