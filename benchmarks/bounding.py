# SPDX-License-Identifier: Apache-2.0
"""Time and tightness of each bounding method, beside those of auto_LiRPA if it can be imported.

    python benchmarks/bounding.py FOLDER [--threads 2] [--times 3] [--write TITLE]

For each network the margins of the class at the centre of a property's first input box over all other
classes are bounded from below over that box. The figure is their sum: the larger, the tighter. Times are
medians, without the reading of the files.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from instances import matmul_rate, write_section
from torch import Tensor
from vnnverify_abstract_domains.backend import ZonotopeBounder
from vnnverify_abstract_domains.propagation import least_memory
from vnnverify_abstract_domains.rules import domain as zonotopes
from vnnverify_bound_propagation.branching.relu import DualBounder
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify import Clause, Deadline, Polytope, Query
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State
from vnnverify.domains import interval
from vnnverify.engine.runner import make_context
from vnnverify.errors import UnsupportedOperator
from vnnverify.loading.loader import load_query
from vnnverify.numerics import direct_convolutions

CASES = {
    "mnist_fc 256x6": ("mnist_fc", "onnx/mnist-net_256x6.onnx", "vnnlib/prop_0_0.03.vnnlib"),
    "oval21 base": ("oval21", "onnx/cifar_base_kw.onnx", ""),
    "sri_resnet_a": (
        "sri_resnet_a",
        "onnx/resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1.onnx",
        "vnnlib/cifar10_spec_idx_3882_eps_0.00350.vnnlib",
    ),
    "cifar_biasfield": ("cifar_biasfield", "onnx/cifar_bias_field_4.onnx", "vnnlib/prop_4.vnnlib"),
}
MEMORY = 512 << 20
INNER_STEPS = 10
LONGEST = 120.0
"""Seconds for a network's inner bounds, and for all measurements of a method after its first."""

Method = Callable[[], Tensor]


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the folder with the families")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument(
        "--write", metavar="TITLE", help="put the table under TITLE into benchmarks/README.md"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    other = _other()
    lines = ["| network | method | seconds | sum of the margins' lower bounds |", "|---|---|---|---|"]
    for name, (family, model, prop) in CASES.items():
        folder = args.folder / family
        if not folder.exists():
            print(f"{name}: not in {args.folder}")
            continue
        prop = prop or f"vnnlib/{sorted((folder / 'vnnlib').glob('*base*'))[0].name}"
        query = _margins(load_query(_path(folder / model), _path(folder / prop)))
        for method, act in (*ours(query), *(other(_path(folder / model), query) if other else ())):
            seconds, total = measured(act, args.times)
            lines.append(f"| {name} | {method} | {seconds:.2f} | {total:,.6g} |")
            print(lines[-1], flush=True)
    beside = "" if other else " auto_LiRPA cannot be imported here, so its methods are left out."
    caption = (
        f"Medians of {args.times}, {args.threads} threads; float32 matrix product of 2048 square in the same "
        f"run: {matmul_rate():.0f} GFLOP/s.{beside}\n\n"
    )
    print(caption)
    if args.write:
        write_section(args.write, caption + "\n".join(lines))


def measured(act: Method, times: int) -> tuple[float, float]:
    """Median seconds, and the sum of what it bounds."""
    seconds = []
    for _ in range(times):
        started = time.monotonic()
        with torch.no_grad(), direct_convolutions():
            found = act()
        seconds.append(time.monotonic() - started)
        if seconds[0] > LONGEST / times:
            break
    return statistics.median(seconds), float(found.double().sum())


def ours(query: Query) -> Iterator[tuple[str, Method]]:
    """The methods of this project, from the loosest to the tightest."""
    (clause,) = query.clauses
    A, region = clause.unsafe[0].A, clause.region
    ctx = make_context(query, Deadline.never())
    lower, upper = region.lower[None], region.upper[None]
    spec = Specification.of(query.clauses, query.graph.output_size, torch.device("cpu"))

    def by_intervals() -> Tensor:
        low, high = interval.bounds(query.graph, region)
        return A.clamp(min=0) @ low + A.clamp(max=0) @ high

    def by_zonotopes() -> Tensor:
        return bounder.bound(lower.float(), upper.float(), spec, None).lower

    def propagated() -> tuple[Propagator, State]:
        varying = query.varying
        free = (upper > lower)[0].nonzero()[:, 0] if varying <= 32 else None
        tool = Propagator(query.graph.to("cpu", torch.float64), free, torch.float64)
        return tool, tool.propagate(lower, upper, Deadline.after(LONGEST))

    def backward() -> Tensor:
        tool, state = propagated()
        return tool.margins(state, spec)[0].lower

    def optimised(inner: bool) -> Tensor:
        """α-CROWN with the inner bounds of plain rows, or with optimised ones."""
        tool, state = propagated()
        if inner:
            Refinement(tool, state).run(INNER_STEPS, Deadline.after(LONGEST))
        rows = [Polytope.of(row[None], torch.zeros(1)) for row in A]
        polytopes = [UnsafePolytope(0, 0, polytope) for polytope in rows]
        bounder = DualBounder(tool, state, polytopes, ctx, dtype=torch.float32, steps=10, settings=Settings())
        bounds = bounder.start()[1].lower
        return torch.fmax(bounds.double(), tool.margins(state, spec)[0].lower)

    yield "intervals", by_intervals
    try:
        if least_memory(zonotopes.prepare(query.graph), query.varying) <= MEMORY:
            bounder = ZonotopeBounder(query, ctx, MEMORY >> 20, guide=False)
            yield "zonotopes", by_zonotopes
    except UnsupportedOperator:
        pass
    yield "backward", backward
    yield "backward, slopes of the margins optimised", lambda: optimised(inner=False)
    yield "backward, slopes of all bounds optimised", lambda: optimised(inner=True)


def _other() -> Callable[[str, Query], Iterator[tuple[str, Method]]] | None:
    """The methods of auto_LiRPA for a model, if there is any."""
    try:
        import onnx2torch
        from auto_LiRPA import BoundedModule, BoundedTensor
        from auto_LiRPA.perturbations import PerturbationLpNorm
    except ImportError as error:
        print(f"auto_LiRPA cannot be imported: {error}")
        return None
    from vnnverify.inputs.files import read_bytes

    def methods(path: str, query: Query) -> Iterator[tuple[str, Method]]:
        """auto_LiRPA's methods on the same network and box."""
        import onnx

        (clause,) = query.clauses
        (spec,) = query.layout.inputs
        lower, upper = (end.float().reshape(spec.shape) for end in (clause.region.lower, clause.region.upper))
        centre = (lower + upper) / 2
        network = onnx2torch.convert(onnx.load_from_string(read_bytes(path)))
        C = clause.unsafe[0].A.float()[None]
        for method in ("IBP", "CROWN", "CROWN-Optimized"):

            def act(method: str = method) -> Tensor:
                bounded = BoundedModule(network, centre)
                ball = BoundedTensor(centre, PerturbationLpNorm(x_L=lower, x_U=upper))
                with torch.enable_grad():
                    found = bounded.compute_bounds(x=(ball,), C=C, method=method, bound_upper=False)[0]
                return found.detach()

            yield f"auto_LiRPA, {method}", act

    return methods


def _margins(query: Query) -> Query:
    """The query that asks about all other classes than that of the centre of the first box."""
    region = query.clauses[0].region
    y = query.graph.to("cpu", torch.float64)((region.lower + region.upper)[None] / 2)[0]
    label, eye = int(y.argmax()), torch.eye(y.numel(), dtype=torch.float64)
    rows = torch.cat([eye[label] - eye[:label], eye[label] - eye[label + 1 :]])
    return query.with_clauses([Clause(region, (Polytope.of(rows, torch.zeros(len(rows))),))])


def _path(path: Path) -> str:
    return str(path if path.exists() else path.with_name(path.name + ".gz"))


if __name__ == "__main__":
    main()
