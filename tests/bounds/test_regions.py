# SPDX-License-Identifier: Apache-2.0
"""Every bounding method over regions that are no boxes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from math import inf

import pytest
import torch
from sample_networks import FLOAT64, NETWORKS, affine, bounded, outputs_of
from torch import Tensor

from vnnverify.bounds.method import Bounds
from vnnverify.bounds.methods import METHODS, AlphaCrown, Crown, Forward
from vnnverify.ir import Graph
from vnnverify.numerics import gamma
from vnnverify.query import Ball, Box, Least, Part, Polytope, Region

SOUND = {**METHODS, "alpha-crown": AlphaCrown(steps=2)}
EXACT = {name: method for name, method in SOUND.items() if name != "interval"}


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid(Region):
    """All x with ‖(x − centre) / axes‖₂ <= 1: a shape of this test's own."""

    centre: Tensor  # (n,) or (B, n)
    axes: Tensor

    @property
    def lower(self) -> Tensor:
        return self.centre - self.axes * (1 + 1e-6)

    @property
    def upper(self) -> Tensor:
        return self.centre + self.axes * (1 + 1e-6)

    def least(self, rows: Tensor) -> Least:
        c, s = self.centre[..., None, :], self.axes[..., None, :]
        width, size = (rows * s).norm(dim=-1), (rows.abs() * c.abs()).sum(dim=-1)
        error = 4 * gamma(rows.shape[-1] + 4, rows.dtype) * (width + size).detach()
        return Least((rows * c).sum(dim=-1) - width - error, error, None, None)

    def contains(self, x: Tensor) -> Tensor:
        away = (x - self.centre[..., None, :]) / self.axes[..., None, :]
        return away.norm(dim=-1) <= 1

    def project(self, x: Tensor) -> Tensor:
        away = (x - self.centre[..., None, :]) / self.axes[..., None, :]
        away = away / away.norm(dim=-1, keepdim=True).clamp(min=1 + 1e-6)
        return self.centre[..., None, :] + self.axes[..., None, :] * away

    def within(self, lower: Tensor, upper: Tensor) -> Region:
        return Part.of(self, lower, upper)

    def take(self, index: Tensor | slice | None) -> Region:
        return Ellipsoid(self.centre[index], self.axes[index])

    def to(self, device: torch.device, dtype: torch.dtype) -> Region:
        wide = self.axes + 1e-6 * self.centre.abs()
        return Ellipsoid(self.centre.to(device, dtype), (wide * (1 + 1e-6)).to(device, dtype))


def balls(graph: Graph, norm: float, batch: int = 2, radius: float = 0.6, cut: float = 0.4) -> Ball:
    """Balls of a batch, cut on all sides."""
    centre = (
        torch.randn(batch, graph.input_size, generator=torch.Generator().manual_seed(0), dtype=FLOAT64) / 2
    )
    return Ball(norm, centre, radius, centre - cut, centre + cut / 2)


def regions(graph: Graph) -> dict[str, Region]:
    """A batch of two of every kind."""
    one, two = balls(graph, 1), balls(graph, 2)
    row = Polytope.of(torch.ones(1, graph.input_size), torch.tensor([-0.6]))
    axes = torch.linspace(0.1, 0.5, graph.input_size, dtype=FLOAT64).expand_as(two.centre)
    ellipsoid = Ellipsoid(two.centre, axes)
    part = ellipsoid.within(two.centre - 0.2, two.centre + 0.3)
    box = Box(two.centre - 0.4, two.centre + 0.4, row)
    return {
        "l1": one,
        "l2": two,
        "linf": balls(graph, inf),
        "ellipsoid": ellipsoid,
        "part": part,
        "rows": box,
    }


KINDS = tuple(regions(affine()))


def points(region: Region, count: int) -> Tensor:
    """Points (B, count', n) of every region of the batch."""
    x = region.sample(count, torch.Generator().manual_seed(1))
    inside = region.contains(x).all(dim=0)
    assert int(inside.sum()) > count // 50
    return x[:, inside]


def assert_sound(graph: Graph, region: Region, found: Bounds, x: Tensor) -> None:
    """The bounds of outputs and their negatives hold at the points."""
    y = graph.to("cpu", FLOAT64)(x.flatten(0, 1)).reshape(*x.shape[:2], -1)
    least = torch.cat([y, -y], dim=2).amin(dim=1)
    assert bool((found.lower.double() <= least).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SOUND)
def test_bounds_hold_at_points_of_the_region(name: str, kind: str) -> None:
    for network in ("relu", "products", "convolutional"):
        graph = NETWORKS[network]()
        region = regions(graph)[kind]
        x = points(region, 1000)
        for dtype in (torch.float64, torch.float32) if network == "relu" else (torch.float64,):
            found = bounded(SOUND[name], graph.to("cpu", dtype), region)
            assert_sound(graph, region, found, x)
            assert not found.lower.isnan().any()
            if network != "products":  # whose softmax divides by what linear functions alone may let be zero
                assert bool(torch.isfinite(found.lower).all())


@pytest.mark.parametrize("kind", ["l1", "l2", "ellipsoid", "rows"])
@pytest.mark.parametrize("name", EXACT)
def test_affine_maps_are_bounded_exactly(name: str, kind: str) -> None:
    graph = affine()
    region = regions(graph)[kind]
    b = graph(torch.zeros(1, 4, dtype=FLOAT64))[0]
    M = (graph(torch.eye(4, dtype=FLOAT64)) - b).T
    both = torch.cat([M, -M])[None].expand(2, -1, -1)
    exact = region.least(both).value + torch.cat([b, -b])
    near = 1e-5 if kind == "ellipsoid" else 1e-9  # which grows where its float type is chosen
    assert torch.allclose(bounded(EXACT[name], graph, region).lower, exact, atol=near)


@pytest.mark.parametrize("kind", ["l1", "l2", "ellipsoid", "part", "rows"])
@pytest.mark.parametrize("name", EXACT)
def test_a_region_is_bounded_better_than_its_box(name: str, kind: str) -> None:
    graph = NETWORKS["relu"]()
    region = regions(graph)[kind]
    whole = bounded(EXACT[name], graph, Box(region.lower, region.upper)).lower
    part = bounded(EXACT[name], graph, region).lower
    assert float((part - whole).mean()) > 0.002


def test_one_region_is_a_batch_of_one() -> None:
    graph = NETWORKS["relu"]()
    batch = balls(graph, 2)
    one = Ball(2, batch.centre[1], batch.radius[1], batch.lower[1], batch.upper[1])
    for method in (Crown(), Forward(), METHODS["interval"], METHODS["combined"]):
        alone = method.bound(graph, one, outputs_of(graph, 1)).lower[0]
        assert torch.allclose(alone, bounded(method, graph, batch).lower[1], atol=1e-12)


def test_a_new_shape_costs_at_most_sixty_lines() -> None:
    (shape,) = ast.parse(textwrap.dedent(inspect.getsource(Ellipsoid))).body
    assert shape.end_lineno is not None and shape.end_lineno - shape.lineno + 1 <= 60


@pytest.mark.parametrize("norm", [1, 2])
def test_derivatives_in_centre_and_radius(norm: float) -> None:
    """Of CROWN over a ball, with respect to the ball: against central differences."""
    graph, ball = NETWORKS["tanh"](), balls(NETWORKS["tanh"](), norm, batch=1)

    def least(centre: Tensor, radius: Tensor) -> Tensor:
        return bounded(Crown(), graph, Ball(norm, centre, radius)).lower.sum()

    given = [ball.centre.clone().requires_grad_(), torch.full((1,), 0.3, dtype=FLOAT64, requires_grad=True)]
    found = torch.autograd.grad(least(*given), given)
    for k, t in enumerate(given):
        for at in range(t.numel()):
            step = torch.zeros_like(t).flatten()
            step[at] = 1e-6
            low, high = (
                least(
                    *(
                        s.detach() + sign * step.reshape(t.shape) if j == k else s.detach()
                        for j, s in enumerate(given)
                    )
                )
                for sign in (-1, 1)
            )
            assert found[k].flatten()[at].item() == pytest.approx(
                (high - low).item() / 2e-6, rel=1e-5, abs=1e-5
            )
