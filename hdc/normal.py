"""The normal distribution's upper tail, the same bits on every machine.

The functions of C libraries differ in their last digits.  Here are only additions, multiplications
and divisions of floats, which IEEE 754 specifies, in a fixed order.
"""

from functools import lru_cache
from math import factorial, floor, ldexp, sqrt
from typing import Final

from . import native

_TAIL: Final = (
    -1.256344216952182e-07,
    1.6494895727155763e-07,
    8.940901493709741e-07,
    -1.727326049131762e-06,
    -2.441078899024015e-06,
    8.975258860162245e-06,
    -2.953130264916473e-07,
    -3.0442888560298027e-05,
    3.1979777147290036e-05,
    7.150879124467131e-05,
    -0.00017438409851328946,
    -9.376570803720402e-05,
    0.0006736962456210654,
    -0.0001462411996729981,
    -0.00234581468605948,
    0.0017589329255461358,
    0.00882493869732443,
    -0.009872689328928833,
    -0.046895610234684706,
    0.04734330684100855,
    0.6726432239776713,
    -0.6717940840566886,
)
"""Coefficients of log(erfc(x) / t) + x^2 as a polynomial in 2 t - 1, t = 2 / (2 + x), x >= 0 (the
form of Schonfelder 1978), the highest power first: it interpolates at 22 Chebyshev nodes, solved
with 60 digits.  The error is below 1e-13."""

_LOG2_HIGH: Final = 0.693147180559663  # of log 2, in 41 bits: products with 2^11 are exact
_LOG2_LOW: Final = 2.8235290563031577e-13  # the rest of it

_INVERSE_FACTORIALS: Final = tuple(1 / factorial(term) for term in reversed(range(14)))
"""The exponential series, the highest power first: up to half of log 2, the next term is below
2^-56."""

_SMALLEST: Final = -745.2  # the exponential of less is zero in float64

_SCORE_MAX: Final = 40.0  # the tail beyond it is zero in float64

_HALVINGS: Final = 100  # halve an interval of 80 until its ends are neighbours


def exponential(value: float) -> float:
    """Return e to the power of a value up to 0, right to about 2^-52."""
    if value < _SMALLEST:
        return 0.0
    power = floor(value / _LOG2_HIGH + 0.5)
    rest = value - power * _LOG2_HIGH - power * _LOG2_LOW
    return ldexp(_polynomial(_INVERSE_FACTORIALS, rest), power)


def erfc(value: float) -> float:
    """Return the complementary error function, right to about 1e-13 of itself."""
    if value < 0:
        return 2.0 - erfc(-value)
    share = 2.0 / (2.0 + value)
    return share * exponential(_polynomial(_TAIL, 2.0 * share - 1.0) - value * value)


def _polynomial(coefficients: tuple[float, ...], at: float) -> float:
    """Return a polynomial; coefficients: of the highest power first."""
    total = 0.0
    for coefficient in coefficients:
        total = total * at + coefficient
    return total


def upper_tail(score: float) -> float:
    """Return the probability that a standard normal exceeds a score."""
    if native.KERNEL is not None:
        return native.KERNEL.upper_tail(score)
    return erfc(score / sqrt(2)) / 2


@lru_cache(maxsize=16)
def normal_quantile(rate: float) -> float:
    """Return the score that a standard normal exceeds at this rate, 0 < rate < 1."""
    low, high = -_SCORE_MAX, _SCORE_MAX
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if upper_tail(middle) > rate:
            low = middle
        else:
            high = middle
    return high
