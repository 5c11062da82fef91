# SPDX-License-Identifier: Apache-2.0
"""The element of the domain, and the symbols that the elements of one batch of boxes share.

For every point of a box there are t in [−1, 1]^K such that every value of the network at that point is

    centre + Σ_k t_k·generators_k + e,   |e| <= error,   and lies in [lower, upper].

Source: Singh, Gehr, Mirman, Püschel, Vechev, Fast and Effective Robustness Certification, NeurIPS 2018.
The error term, which costs no symbol, takes up every rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir import Graph, Value
from vnnverify.numerics import gamma, round_down, round_up

__all__ = ["Symbols", "TooBig", "Zonotope", "ball", "input_zonotopes", "padded"]

WORKING_COPIES = 4
"""Tensors of the size of a node's generators that are alive while the node is worked on."""


class TooBig(Exception):
    """The generators would not fit into the memory that may be used."""


def ball(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Midpoint and radius of [lower, upper]; the radius is rounded up, and 0 for a single number."""
    middle = (lower + upper) / 2
    radius = round_up(torch.maximum(upper - middle, middle - lower))
    return middle, radius.masked_fill(lower == upper, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Zonotope:
    """What is known about one value over B boxes."""

    centre: Tensor  # (B, *shape)
    generators: Tensor  # (B, K, *shape); symbols beyond K do not occur
    error: Tensor  # (B, *shape), >= 0
    reach: Tensor  # (B, *shape), >= Σ_k |generators_k|
    lower: Tensor  # (B, *shape)
    upper: Tensor  # (B, *shape)

    @classmethod
    def of(cls, centre: Tensor, generators: Tensor, error: Tensor) -> Zonotope:
        """With the bounds that follow. Where a number is not finite nothing is known: error is infinite."""
        reach = generators.abs().sum(dim=1) * (1 + 2 * gamma(generators.shape[1], centre.dtype))
        error = torch.nan_to_num(error, nan=float("inf"), posinf=float("inf"))
        lost = ~torch.isfinite(centre + reach)
        if bool(lost.any()):
            centre, reach = centre.masked_fill(lost, 0), reach.masked_fill(lost, 0)
            generators = generators.masked_fill(lost[:, None], 0)
            error = error.masked_fill(lost, float("inf"))
        radius = round_up(reach + error)
        return cls(centre, generators, error, reach, round_down(centre - radius), round_up(centre + radius))

    def within(self, lower: Tensor, upper: Tensor) -> Zonotope:
        """The same, knowing that the value lies in [lower, upper] (B, *shape) too; where only that is known,
        it becomes the zonotope."""
        low, high = torch.fmax(self.lower, lower), torch.fmin(self.upper, upper)
        low, high = torch.minimum(low, high), torch.maximum(low, high)
        middle, half = ball(low, high)
        better = torch.isinf(self.error) & torch.isfinite(half)
        return dataclasses.replace(
            self,
            centre=torch.where(better, middle, self.centre),
            error=torch.where(better, half, self.error),
            generators=self.generators.masked_fill(better[:, None], 0) if better.any() else self.generators,
            reach=self.reach.masked_fill(better, 0),
            lower=low,
            upper=high,
        )


@dataclass(slots=True)
class Symbols:
    """How many symbols the elements of B boxes have so far, and what memory their generators may take.

    A position may stand for different neurons in different boxes: only within a box must all values
    mean the same by it.
    """

    share: Tensor  # (B, K, k): of k inputs in each symbol, a guide for the search only; k may be 0
    budget: int  # bytes
    live: int = 0  # bytes of generators that later nodes need

    @property
    def batch(self) -> int:
        """B: number of boxes."""
        return self.share.shape[0]

    @property
    def count(self) -> int:
        """K: number of symbols."""
        return self.share.shape[1]

    def reserve(self, count: int, like: Tensor, size: int) -> None:
        """Make sure that generators of `count` symbols for `size` elements can be worked on.

        Raises:
            TooBig: they cannot.
        """
        numbers = self.batch * count * (WORKING_COPIES * size + self.share.shape[2])
        needed = self.live + numbers * like.element_size()
        if needed > self.budget:
            raise TooBig(f"{count} symbols for {size} elements need {needed >> 20} MiB")

    def spend(self, generators: Tensor, error: Tensor, need: Tensor) -> tuple[Tensor, Tensor]:
        """Turn the error of the elements that `need` one into new symbols, one each.

        Args:
            generators: (B, K, N), whose symbols may be fewer than all.
            error: (B, N).
            need: (B, N) bool.

        Returns:
            the generators with the new symbols, and the errors that remain.

        Raises:
            TooBig: the memory does not suffice.
        """
        need = need & torch.isfinite(error)
        most = int(need.sum(dim=1).max())
        if most == 0:
            return generators, error
        self.reserve(self.count + most, generators, generators.shape[2])
        grown = generators.new_zeros(self.batch, self.count + most, generators.shape[2])
        grown[:, : generators.shape[1]] = generators
        box, element = need.nonzero(as_tuple=True)
        position = self.count + need.cumsum(dim=1)[box, element] - 1
        grown[box, position, element] = error[box, element]
        new = self.share.new_zeros(self.batch, most, self.share.shape[2])
        if new.numel():
            part = (generators.abs().mT @ self.share[:, : generators.shape[1]])[box, element]  # (new, k)
            tiny = torch.finfo(part.dtype).tiny
            new[box, position - self.count] = part / part.sum(dim=1, keepdim=True).clamp(min=tiny)
        self.share = torch.cat([self.share, new], dim=1)
        return grown, error.masked_fill(need, 0)


def padded(elements: Sequence[Zonotope]) -> list[Tensor]:
    """The generators of several elements, all with as many symbols as the one with most."""
    most = max(z.generators.shape[1] for z in elements)
    found = []
    for z in elements:
        g = z.generators
        if g.shape[1] < most:
            g = torch.cat([g, g.new_zeros(g.shape[0], most - g.shape[1], *g.shape[2:])], dim=1)
        found.append(g)
    return found


def input_zonotopes(
    graph: Graph, lower: Tensor, upper: Tensor, free: Tensor
) -> tuple[dict[Value, Zonotope], Tensor]:
    """The boxes [lower, upper] (B, n) as zonotopes, with symbol k for input free[k], and the radii (B, n).

    The radius of an input that is not free goes into its error term.
    """
    centre, radius = ball(lower, upper)
    B, n = lower.shape
    k = free.numel()
    generators = radius.new_zeros(B, k, n)
    generators[:, torch.arange(k, device=free.device), free] = radius[:, free]
    rest = radius.clone()
    rest[:, free] = 0
    parts = (lower, upper, centre, rest)
    lows, highs, middles, errors = (graph.split_inputs(part) for part in parts)
    found, start = {}, 0
    for value in graph.inputs:
        part = generators[:, :, start : start + value.size].reshape(B, k, *value.shape)
        element = Zonotope.of(middles[value], part, errors[value])
        found[value] = element.within(lows[value], highs[value])
        start += value.size
    return found, radius
