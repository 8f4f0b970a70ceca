"""The table of forecasters, by name."""

from collections.abc import Callable
from functools import partial
from typing import Final

from .experts import (
    DifferencedRegression,
    DLinear,
    Drift,
    HarmonicRegression,
    KernelExpert,
    LastValue,
    NetworkExpert,
    RunningMean,
    RunningMedian,
    SeasonalNaive,
    SeasonalProfile,
    SeasonalValues,
    lag_regression,
    make_network_expert,
    seasonal_regression,
    short_regression,
)
from .forecaster import Forecaster, ForecastTask
from .pool import ExpertPool, MakeExpert

FEW_CHANNELS: Final = 8
"""Channels up to which the pool has four more experts, which would take too long for many:
docs/decisions/0010."""

_LIQUID: Final = partial(make_network_expert, "cfc")
_GRU: Final = partial(make_network_expert, "gru")


def make_pool(task: ForecastTask, network: MakeExpert = _LIQUID) -> ExpertPool:
    """Make the default forecaster: a mixture of all experts that improve it."""
    some = (RunningMean, SeasonalNaive, SeasonalProfile, seasonal_regression, network)
    few = (short_regression, HarmonicRegression, KernelExpert, RunningMedian, *some)
    makers = few if task.channels <= FEW_CHANNELS else some
    return ExpertPool(task, makers, baselines=(LastValue, SeasonalValues, Drift))


def _single(maker: MakeExpert) -> Callable[[ForecastTask], Forecaster]:
    return partial(ExpertPool, makers=(maker,))


FORECASTERS: Final[dict[str, Callable[[ForecastTask], Forecaster]]] = {
    "pool": make_pool,
    "pool-gru": partial(make_pool, network=_GRU),
    "last": _single(LastValue),
    "seasonal": _single(SeasonalNaive),
    "drift": _single(Drift),
    "median": _single(RunningMedian),
    "rls": _single(lag_regression),
    "dlinear": _single(DLinear),
    "snarimax": _single(DifferencedRegression),
    "huber": _single(seasonal_regression),
    "harmonic": _single(HarmonicRegression),
    "kernel": _single(KernelExpert),
    "linear": _single(NetworkExpert),
    "liquid": _single(_LIQUID),
    "gru": _single(_GRU),
    "ltc": _single(partial(make_network_expert, "ltc")),
    "echo": _single(partial(make_network_expert, "echo")),
}
