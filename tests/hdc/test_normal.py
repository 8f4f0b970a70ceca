"""Our tail of the normal distribution agrees with the C library's, and with its own inverse."""

import math
from statistics import NormalDist

import pytest

from hdc.normal import erfc, exponential, normal_quantile, upper_tail


def test_the_error_function_is_that_of_the_library() -> None:
    """From -5 to 26, where it leaves normal floats, the relative error is below 1e-12."""
    for step in range(-500, 2600):
        value = step / 100
        assert erfc(value) == pytest.approx(math.erfc(value), rel=1e-12, abs=0)


def test_the_exponential_is_that_of_the_library() -> None:
    """Down to the smallest normal float, the relative error is below 1e-15."""
    for step in range(7000):
        assert exponential(-step / 10) == pytest.approx(math.exp(-step / 10), rel=1e-15, abs=0)


def test_far_tails_end_at_zero_and_one() -> None:
    """Extreme scores neither raise nor leave 0 to 1."""
    assert upper_tail(60.0) == 0.0
    assert upper_tail(math.inf) == 0.0
    assert upper_tail(-60.0) == 1.0
    assert upper_tail(0.0) == pytest.approx(0.5)


@pytest.mark.parametrize("rate", [1e-6, 0.001, 0.01, 0.05, 0.5, 0.9])
def test_quantiles_are_those_of_the_library(rate: float) -> None:
    """The score that is exceeded at a rate is right to 1e-9, and its tail is the rate."""
    assert normal_quantile(rate) == pytest.approx(NormalDist().inv_cdf(1 - rate), abs=1e-9)
    assert upper_tail(normal_quantile(rate)) == pytest.approx(rate, rel=1e-9)


def test_digits_are_fixed() -> None:
    """A few results, to the last bit, as every machine must compute them."""
    assert [erfc(x).hex() for x in (0.1, 1.0, 3.0)] == [
        "0x1.c66b42bb609f0p-1",
        "0x1.4226162fbdde4p-3",
        "0x1.729df65034230p-16",
    ]
    assert normal_quantile(0.01).hex() == "0x1.29c5c4630ff0ep+1"
