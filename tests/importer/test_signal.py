# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vnnverify.importer.readers.signal import WAVE_ROUNDINGS, _waves

PI = Fraction(314159265358979323846264338327950288419716939937510582097, 10**56)


def sine(x: Fraction) -> Fraction:
    """By its series, for |x| <= 7, to 10⁻³⁰."""
    term, total, k = x, x, 1
    while abs(term) > Fraction(1, 10**40):
        term = Fraction(round(-term * x * x / ((k + 1) * (k + 2)) * 10**50), 10**50)
        total, k = total + term, k + 2
    return total


@pytest.mark.parametrize("n", [7, 12, 64, 1000])
def test_waves_have_a_few_roundings_and_exact_zeros(n: int) -> None:
    cosine, negative_sine = _waves(n, 2, n)
    for j in range(n):
        angle = 2 * PI * j / n
        for found, exact in ((negative_sine[1, j], -sine(angle)), (cosine[1, j], sine(PI / 2 - angle))):
            if abs(exact) < Fraction(1, 10**20):
                assert found == 0.0
                continue
            error = abs(Fraction(float(found)) - exact)
            assert error <= (WAVE_ROUNDINGS - 1) * Fraction(1, 2**53) * abs(exact)


def test_the_inverse_divides_by_the_length() -> None:
    cosine, negative_sine = _waves(8, 3, 8)
    real, imaginary = _waves(8, 3, 8, inverse=True)
    np.testing.assert_array_equal(real, cosine / 8)
    np.testing.assert_array_equal(imaginary, -negative_sine / 8)
