# SPDX-License-Identifier: Apache-2.0
"""The zonotope domain: the table below is the domain; operators without a rule go by their parts.

Each rule encloses the operator's value over all t and e that its arguments allow; `propagate`
intersects that with intervals.

Source: Singh, Gehr, Mirman, Püschel, Vechev, Fast and Effective Robustness Certification, NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vnnverify.domains import Domain, interval
from vnnverify.domains.relaxation import band
from vnnverify.ir import Affine, Elementwise, Enclosed, Maximum, Node, flat
from vnnverify.numerics import gamma, unit_roundoff
from vnnverify.ops.bilinear import MatMul, Mul
from vnnverify.ops.choice import Choice
from vnnverify_abstract_domains.zonotope import Symbols, Zonotope, ball, padded

__all__ = ["domain"]

NOISE = 64
"""An error of up to so many unit roundoffs of what it belongs to is not worth a symbol."""

domain: Domain[[Sequence[Zonotope], Node, Symbols], Zonotope] = Domain("zonotope")


@domain.rule(Affine)
def _affine(op: Affine, inputs: Sequence[Zonotope], node: Node, symbols: Symbols) -> Zonotope:
    """W applied to the centre and to every generator; |W| to the errors.

    The roundings of the K + 1 products come to gamma·(|W| (|centre| + Σ_k |generators_k|) + |b|).
    """
    B, shape = symbols.batch, node.output.shape
    if not inputs:
        centre = op().expand(B, *shape)
        return Zonotope.of(centre, centre.new_zeros(B, 1, *shape), gamma(1, centre.dtype) * centre.abs())
    centre = op(*(x.centre for x in inputs))
    generators = _linear(op, padded(inputs), shape)
    if op.fan_in == 0:
        return Zonotope.of(centre, generators, op.magnitude(*(x.error for x in inputs)))
    g = gamma(op.fan_in, centre.dtype)
    error = op.magnitude(*(x.error + g * (x.centre.abs() + x.reach) for x in inputs)) * (1 + 2 * g)
    if op.offset is not None:
        error = error + 2 * g * op.offset.abs()
    return Zonotope.of(centre, generators, error + _underflow(op.fan_in, centre))


def _linear(op: Affine, generators: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
    """The linear part of `op` applied to each generator: (B, K, *in_i) -> (B, K, *shape)."""
    B, K = generators[0].shape[:2]
    return op.linear(*(g.reshape(B * K, *g.shape[2:]) for g in generators)).reshape(B, K, *shape)


@domain.rule(Elementwise)
def _elementwise(op: Elementwise, inputs: Sequence[Zonotope], node: Node, symbols: Symbols) -> Zonotope:
    """The band around the secant: f(z) = s·z + middle ± half on [lower, upper].

    For a ReLU that is the choice of DeepZ, with the least area.
    """
    x = inputs[0]
    secant, _ = Elementwise.slopes(op, x.lower, x.upper)
    slope = torch.where(torch.isfinite(secant) & torch.isfinite(x.error), secant, 0)
    low, high = band(op, x.lower, x.upper, slope)
    middle, half = ball(low, high)
    g = gamma(1, half.dtype)
    s = slope.abs()
    size = s * (x.centre.abs() + x.reach) + middle.abs()
    exact = (middle == 0) & ((s == 0) | (s == 1))
    rounding = torch.where(exact, 0, g * size + _underflow(1, half))
    error = (torch.where(slope == 0, 0, s * x.error) + half + rounding) * (1 + g)
    need = half > NOISE * unit_roundoff(half.dtype) * (1 + size)
    return _with_symbols(symbols, node, slope * x.centre + middle, x.generators * slope[:, None], error, need)


@domain.rule(Mul, MatMul)
def _product(op: Mul | MatMul, inputs: Sequence[Zonotope], node: Node, symbols: Symbols) -> Zonotope:
    """(a + u)(b + v) = a b + a v + u b + u v for centres a, b and deviations u, v; the last one is the error.

    No rule for all `Bilinear` operators: the trait does not tell how to bound |x ∘ y| or its rounding.
    """
    x, y = inputs
    B, shape = symbols.batch, node.output.shape
    u, v = padded(inputs)
    K = u.shape[1]
    a, b = (z.centre[:, None].expand_as(g).reshape(B * K, *g.shape[2:]) for z, g in ((x, u), (y, v)))
    generators = (op(a, v.reshape(b.shape)) + op(u.reshape(a.shape), b)).reshape(B, K, *shape)
    terms = x.centre.shape[-1] if isinstance(op, MatMul) else 1
    g = gamma(terms + 4, u.dtype)
    size_x, size_y = x.centre.abs(), y.centre.abs()
    deviation_x, deviation_y = x.reach + x.error, y.reach + y.error
    error = op(deviation_x, deviation_y) + op(size_x, y.error) + op(x.error, size_y)
    size = op(size_x + deviation_x, size_y + deviation_y)
    error = (error + g * size) * (1 + 2 * g) + _underflow(terms, size)
    need = error > NOISE * unit_roundoff(size.dtype) * (1 + size)
    return _with_symbols(symbols, node, op(x.centre, y.centre), generators, error, need)


@domain.rule(Maximum)
def _maximum(op: Maximum, inputs: Sequence[Zonotope], node: Node, symbols: Symbols) -> Zonotope:
    """The member that beats all others, if there is one; else the interval from the largest lower to the
    largest upper bound, as a new symbol."""
    B, N = symbols.batch, node.output.size
    groups = op.groups(*(v.shape for v in node.inputs)).to(inputs[0].centre.device)  # (N, k)
    low, high = (
        torch.cat([flat(end) for end in ends], dim=1)[:, groups]
        for ends in ([x.lower for x in inputs], [x.upper for x in inputs])
    )  # (B, N, k)
    floor, best = low.max(dim=2)
    member = groups.expand(B, -1, -1).gather(2, best[:, :, None])[:, :, 0]  # (B, N)
    rival = high.masked_fill(groups[None] == member[:, :, None], -float("inf")).amax(dim=2)
    ceiling = high.amax(dim=2)
    wins = rival <= floor
    middle, half = ball(floor, ceiling)

    def pick(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([flat(part) for part in parts], dim=1).gather(1, member)

    centre = torch.where(wins, pick([x.centre for x in inputs]), middle)
    error = torch.where(wins, pick([x.error for x in inputs]), half)
    joined = torch.cat([g.flatten(2) if g.dim() > 2 else g[:, :, None] for g in padded(inputs)], dim=2)
    generators = joined.gather(2, member[:, None].expand(B, joined.shape[1], N))
    generators = generators.masked_fill(~wins[:, None], 0)
    return _with_symbols(symbols, node, centre, generators, error, ~wins)


@domain.rule(Enclosed)
def _enclosed(op: Enclosed, inputs: Sequence[Zonotope], node: Node, symbols: Symbols) -> Zonotope:
    """The interval, as a new symbol."""
    low, high = interval.domain.rule_for(node)(op, [(x.lower, x.upper) for x in inputs], node)
    shape = (symbols.batch, *node.output.shape)
    middle, half = ball(low.expand(shape), high.expand(shape))
    none = middle.new_zeros(symbols.batch, 1, *node.output.shape)
    return _with_symbols(symbols, node, middle, none, half, half > 0)


@domain.rule(Choice)
def _choice(op: Choice, inputs: Sequence[Zonotope], node: Node, symbols: Symbols) -> Zonotope:
    """The chosen branch where the condition is sure, else the hull of both, as a new symbol."""
    condition, a, b = inputs
    yes, no = condition.lower > 0.5, condition.upper <= 0.5
    middle, half = ball(torch.minimum(a.lower, b.lower), torch.maximum(a.upper, b.upper))
    u, v = padded((a, b))
    centre = torch.where(yes, a.centre, torch.where(no, b.centre, middle))
    error = torch.where(yes, a.error, torch.where(no, b.error, half))
    generators = torch.where(yes[:, None], u, torch.where(no[:, None], v, torch.zeros_like(u)))
    return _with_symbols(symbols, node, centre, generators, error, ~(yes | no))


def _with_symbols(
    symbols: Symbols, node: Node, centre: Tensor, generators: Tensor, error: Tensor, need: Tensor
) -> Zonotope:
    """An element in which the elements that `need` one have a symbol for their whole error."""
    B, shape = symbols.batch, node.output.shape
    rows = generators.reshape(B, generators.shape[1], node.output.size)
    rows, rest = symbols.spend(rows, flat(error), flat(need))
    return Zonotope.of(centre.reshape(B, *shape), rows.reshape(B, -1, *shape), rest.reshape(B, *shape))


def _underflow(terms: int, like: Tensor) -> float:
    """What products that underflow may lose in a sum of so many terms, over fewer than 2^22 symbols."""
    return terms * torch.finfo(like.dtype).tiny
