# SPDX-License-Identifier: Apache-2.0
"""Every tolerance and rounding rule of the project, each with its unit, reason and source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import torch
from torch import Tensor, backends

__all__ = [
    "AGREEMENT",
    "COMPUTED_ROUNDINGS",
    "FLOAT32_REACH",
    "FUNCTION_ULPS",
    "HALF_AGREEMENT",
    "PARAMETER_ROUNDINGS",
    "SOURCE_ROUNDINGS",
    "Rounding",
    "direct_convolutions",
    "float_above",
    "float_below",
    "gamma",
    "lower_as",
    "middle",
    "product_and_error",
    "proves",
    "relative_error",
    "round_down",
    "round_up",
    "rounded_outward",
    "rounding",
    "subnormals_flushed",
    "sum_and_error",
    "unit_roundoff",
    "upper_as",
    "varies",
]

AGREEMENT = 1e-4
"""Largest relative difference at which two float32 evaluations of a model count as the same function;
the order of summation alone accounts for 1e-5 on deep networks."""

HALF_AGREEMENT = 2e-2
"""The same for models with float16 inputs or outputs: forty unit roundoffs of 2^-11, for layers that each
round their result."""

PARAMETER_ROUNDINGS = 8
"""Roundings to float64 a stored parameter may have gone through before it is used. Each is a relative error
of at most one unit roundoff of a weight, and so has the shape of a summation error: it is counted as so many
more terms of the sum (see `gamma`). A cast to float32 adds one of its own, next to which eight of float64 are
nothing; without it, all eight are of float64. Passes that fold parameters keep within this number."""

COMPUTED_ROUNDINGS = 4
"""Of these, what weights are taken for that an operator's definition computes, as of an interpolation."""

SOURCE_ROUNDINGS = 2
"""Of these, what computing a constant from stored ones may cost, as the reciprocal of a divisor (one), or
the logarithm of a base as computed by numpy, which is less than one unit in the last place off (two)."""

FUNCTION_ULPS = 8
"""Relative error, in unit roundoffs, granted to an elementary function (exp, tanh, …) as computed
by torch; the vectorised SLEEF and CUDA versions state at most 2 ulp (4 unit roundoffs)."""


FLOAT32_REACH = 2.0**50
"""Size of inputs up to which float32 is good for a search: squares do not overflow, nor sums of these."""

Rounding = Literal["sound", "plain"]
"""What is done about rounding errors: bounds are moved outward by them ("sound"), or they are left out
("plain"), as in training: such bounds prove nothing."""

_rounding: ContextVar[Rounding] = ContextVar("rounding", default="sound")


@contextmanager
def rounding(policy: Rounding) -> Iterator[None]:
    """Bounds of this thread computed under a policy until the context is left. Other threads, also those
    started inside, are not touched: they round outward."""
    token = _rounding.set(policy)
    try:
        yield
    finally:
        _rounding.reset(token)


def rounded_outward() -> bool:
    """Whether bounds computed here and now are sound as computed."""
    return _rounding.get() == "sound"


@contextmanager
def direct_convolutions() -> Iterator[None]:
    """Convolutions and matrix products as plain sums of products, whose rounding `gamma` bounds: without
    cuDNN, which takes TF32 by default, and without NNPACK, which both have algorithms (Winograd, FFT) that
    round by more; float32 products in no shorter type (TF32, bfloat16), whatever torch has been told."""
    with (
        backends.cudnn.flags(enabled=False),
        backends.nnpack.flags(enabled=False),
        _whole_products(backends.cuda.matmul),
        _whole_products(getattr(backends.mkldnn, "matmul", None)),
    ):
        yield


@contextmanager
def _whole_products(settings: Any) -> Iterator[None]:
    """Matrix products in the type of their factors. `settings` are those of a library; before torch 2.9 there
    is one for all."""
    if hasattr(settings, "fp32_precision"):
        before = settings.fp32_precision
        settings.fp32_precision = "ieee"
        try:
            yield
        finally:
            settings.fp32_precision = before
        return
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """In this thread numbers below the smallest normal one count as zero, where the processor can do that:
    it computes with them a hundred times as slowly. For searches only, never for a bound."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def unit_roundoff(dtype: torch.dtype) -> float:
    """Largest relative error of one correctly rounded operation: 2^-24 for float32, 2^-53 for float64."""
    return torch.finfo(dtype).eps / 2


def gamma(terms: int, dtype: torch.dtype) -> float:
    """Relative error of a sum of `terms` products in any order, with or without fused multiply-add.

    Returns gamma_n = n·u / (1 − n·u) with n = terms + PARAMETER_ROUNDINGS, such that
    |fl(Σ w_i x_i) − Σ w_i x_i| <= gamma_n · Σ |w_i| |x_i|. Zero where rounding is plain.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1.
    """
    if not rounded_outward():
        return 0.0
    count = (terms + PARAMETER_ROUNDINGS) * unit_roundoff(dtype)
    if count >= 1.0:
        return float("inf")
    return count / (1.0 - count)


def relative_error(dtype: torch.dtype) -> float:
    """What one operation is allowed to err by: `unit_roundoff`, or zero where rounding is plain."""
    return unit_roundoff(dtype) if rounded_outward() else 0.0


def float_below(x: Tensor) -> Tensor:
    """The next smaller float of each element. A gradient passes unchanged."""
    return _neighbour(x, -float("inf"))


def float_above(x: Tensor) -> Tensor:
    """The next larger float of each element. A gradient passes unchanged."""
    return _neighbour(x, float("inf"))


def round_down(x: Tensor) -> Tensor:
    """The next smaller float of each element, at least as far down as one rounding can have erred; `x` itself
    where rounding is plain."""
    return float_below(x) if rounded_outward() else x


def round_up(x: Tensor) -> Tensor:
    """The next larger float of each element; `x` itself where rounding is plain."""
    return float_above(x) if rounded_outward() else x


def _neighbour(x: Tensor, towards: float) -> Tensor:
    if x.requires_grad and torch.is_grad_enabled():
        moved: Tensor = _Neighbour.apply(x, towards)
        return moved
    return torch.nextafter(x, x.new_full((), towards))


class _Neighbour(torch.autograd.Function):
    """The next float, as a sum of x and an error that is held constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, towards: float) -> Tensor:
        """The next float of each element in that direction."""
        return torch.nextafter(x, x.new_full((), towards))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def sum_and_error(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """fl(a + b) and a + b − fl(a + b), without error; NaN for the latter where it overflows.

    Source: Knuth's TwoSum; Higham, section 4.3. A sum of floats is exact where it is subnormal.
    """
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def product_and_error(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """fl(a·b) and a·b − fl(a·b) for float64, the latter without error, or NaN where it may not be: where a
    product of halves could overflow, or lose bits below the least normal number.

    Source: Dekker's product with Veltkamp's splitting; Ogita, Rump, Oishi, Accurate sum and dot product,
    SIAM J. Sci. Comput. 2005, algorithms 3.2 and 3.3.
    """
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    error = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    most = torch.maximum(torch.maximum(a.abs(), b.abs()), product.abs())
    fits = (product.abs() > 2.0**-900) & (most < 2.0**900)
    zero = ((a == 0) & torch.isfinite(b)) | ((b == 0) & torch.isfinite(a))
    return product, error.masked_fill(~fits, float("nan")).masked_fill(zero, 0.0)


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """x as a sum of two numbers of 26 bits each."""
    scaled = x * (2.0**27 + 1)
    high = scaled - (scaled - x)
    return high, x - high


def varies(lower: Tensor, upper: Tensor) -> Tensor:
    """Where [lower, upper] is more than one number that was rounded outward, a few float32 units wide at
    most: bool, of the same shape. A matter of effort only: bounds hold over the whole interval either way.
    """
    size = torch.maximum(lower.abs(), upper.abs()).clamp(min=torch.finfo(torch.float32).tiny)
    width = upper - lower
    return (width > 4 * torch.finfo(torch.float32).eps * size) | torch.isinf(width)


def proves(lower: Tensor) -> Tensor:
    """Which lower bounds of margins prove that these are positive: NaN and infinity never prove anything, nor
    does any bound where rounding is plain."""
    if not rounded_outward():
        return torch.zeros_like(lower, dtype=torch.bool)
    return (lower > 0) & torch.isfinite(lower)


def middle(lower: Tensor, upper: Tensor) -> Tensor:
    """A finite number halfway in each interval [lower, upper], or in the part of it that is finite."""
    found = (lower + upper) / 2
    if bool(torch.isfinite(found).all()):
        return found
    most = torch.finfo(lower.dtype).max
    lower, upper = lower.clamp(-most, most), upper.clamp(-most, most)
    return torch.where(torch.isfinite(found), found, lower / 2 + upper / 2)


def lower_as(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast with rounding towards minus infinity: never above `x`, unless rounding is plain."""
    if x.dtype == dtype:
        return x.clone()
    y = x.to(dtype)
    return torch.where(y.to(x.dtype) > x, float_below(y), y) if rounded_outward() else y


def upper_as(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast with rounding towards plus infinity: never below `x`, unless rounding is plain."""
    if x.dtype == dtype:
        return x.clone()
    y = x.to(dtype)
    return torch.where(y.to(x.dtype) < x, float_above(y), y) if rounded_outward() else y
