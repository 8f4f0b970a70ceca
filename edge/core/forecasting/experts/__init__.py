"""The experts that a forecaster pool weighs: simple rules, regressions, kernels and networks."""

from typing import TYPE_CHECKING

from ....lazy import lazy_names

if TYPE_CHECKING:
    from .autoregression import lag_set, seasonal_lags, short_lags
    from .basis import RegressionBasis
    from .differenced import DifferencedRegression
    from .dlinear import DLinear
    from .expert import Expert, ExpertInput
    from .harmonic import HarmonicRegression
    from .kernel import KernelExpert
    from .network import (
        LinearNetworkExpert,
        make_echo_pool,
        make_gru_pool,
        make_liquid_pool,
        make_ltc_pool,
    )
    from .simple import LastValue, RunningMean, RunningMedian, SeasonalNaive, SeasonalProfile

__all__ = [
    "DLinear",
    "DifferencedRegression",
    "Expert",
    "ExpertInput",
    "HarmonicRegression",
    "KernelExpert",
    "LastValue",
    "LinearNetworkExpert",
    "RegressionBasis",
    "RunningMean",
    "RunningMedian",
    "SeasonalNaive",
    "SeasonalProfile",
    "lag_set",
    "make_echo_pool",
    "make_gru_pool",
    "make_liquid_pool",
    "make_ltc_pool",
    "seasonal_lags",
    "short_lags",
]

__getattr__ = lazy_names(
    __name__,
    {
        "autoregression": ("lag_set", "seasonal_lags", "short_lags"),
        "basis": ("RegressionBasis",),
        "differenced": ("DifferencedRegression",),
        "dlinear": ("DLinear",),
        "expert": ("Expert", "ExpertInput"),
        "harmonic": ("HarmonicRegression",),
        "kernel": ("KernelExpert",),
        "network": (
            "LinearNetworkExpert",
            "make_echo_pool",
            "make_gru_pool",
            "make_liquid_pool",
            "make_ltc_pool",
        ),
        "simple": ("LastValue", "RunningMean", "RunningMedian", "SeasonalNaive", "SeasonalProfile"),
    },
)
