# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.numerics import direct_convolutions, product_and_error, sum_and_error


def test_direct_convolutions_leave_the_settings_as_they_were() -> None:
    def settings() -> tuple[bool, bool, bool]:
        backends = torch.backends
        return backends.cudnn.enabled, backends.cudnn.allow_tf32, torch._C._get_nnpack_enabled()

    before = settings()
    with pytest.raises(ZeroDivisionError), direct_convolutions():
        assert not torch.backends.cudnn.enabled and not torch._C._get_nnpack_enabled()
        raise ZeroDivisionError
    assert settings() == before


@pytest.mark.parametrize("asked", ["high", "medium"])
def test_products_are_not_shortened_where_a_bound_is_computed(asked: str) -> None:
    """TF32 and bfloat16 products are a matter of taste elsewhere."""
    before = torch.get_float32_matmul_precision()
    products = torch.backends.cuda.matmul
    try:
        torch.set_float32_matmul_precision(asked)
        assert products.allow_tf32
        with direct_convolutions():
            assert products.fp32_precision == torch.backends.mkldnn.matmul.fp32_precision == "ieee"
        assert torch.get_float32_matmul_precision() == asked and products.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before)


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, FINITE)
def test_errors_of_sums_and_products_are_exact(a: float, b: float) -> None:
    x, y = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    for (value, error), true in (
        (sum_and_error(x, y), Fraction(a) + Fraction(b)),
        (product_and_error(x, y), Fraction(a) * Fraction(b)),
    ):
        if not torch.isnan(error).any() and not torch.isinf(value).any():
            assert Fraction(float(value)) + Fraction(float(error)) == true


@pytest.mark.parametrize(("a", "b"), [(1e-200, 1e-200), (1e200, 1e200), (5e-324, 0.5), (1e300, 1.0)])
def test_where_a_product_may_lose_bits_its_error_is_not_known(a: float, b: float) -> None:
    _, error = product_and_error(*(torch.tensor([v], dtype=torch.float64) for v in (a, b)))
    assert bool(error.isnan())
