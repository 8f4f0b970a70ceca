"""The experts of a forecaster pool: baselines, linear and kernel regressions, networks."""

from typing import TYPE_CHECKING

from ....lazy import lazy_names

if TYPE_CHECKING:
    from .expert import MANY_CHANNELS, DelayedTargets, Expert, ExpertInput, RegressionBasis
    from .kernel import KernelExpert
    from .linear import (
        DifferencedRegression,
        DLinear,
        HarmonicRegression,
        lag_regression,
        seasonal_regression,
        short_regression,
    )
    from .network import NetworkExpert, make_network_expert
    from .simple import (
        Drift,
        LastValue,
        RunningMean,
        RunningMedian,
        SeasonalNaive,
        SeasonalProfile,
        SeasonalValues,
    )
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "expert": (
                "DelayedTargets",
                "Expert",
                "ExpertInput",
                "MANY_CHANNELS",
                "RegressionBasis",
            ),
            "kernel": ("KernelExpert",),
            "linear": (
                "DLinear",
                "DifferencedRegression",
                "HarmonicRegression",
                "lag_regression",
                "seasonal_regression",
                "short_regression",
            ),
            "network": ("NetworkExpert", "make_network_expert"),
            "simple": (
                "Drift",
                "LastValue",
                "RunningMean",
                "RunningMedian",
                "SeasonalNaive",
                "SeasonalProfile",
                "SeasonalValues",
            ),
        },
    )

__all__ = [
    "MANY_CHANNELS",
    "DLinear",
    "DelayedTargets",
    "DifferencedRegression",
    "Drift",
    "Expert",
    "ExpertInput",
    "HarmonicRegression",
    "KernelExpert",
    "LastValue",
    "NetworkExpert",
    "RegressionBasis",
    "RunningMean",
    "RunningMedian",
    "SeasonalNaive",
    "SeasonalProfile",
    "SeasonalValues",
    "lag_regression",
    "make_network_expert",
    "seasonal_regression",
    "short_regression",
]
