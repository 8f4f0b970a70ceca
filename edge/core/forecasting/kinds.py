"""The table of forecasters, by name."""

from collections.abc import Callable
from functools import partial
from typing import Final

from .experts import (
    DifferencedRegression,
    DLinear,
    HarmonicRegression,
    KernelExpert,
    LastValue,
    LinearNetworkExpert,
    RunningMean,
    RunningMedian,
    SeasonalNaive,
    SeasonalProfile,
    lag_set,
    make_echo_pool,
    make_gru_pool,
    make_liquid_pool,
    make_ltc_pool,
    seasonal_lags,
    short_lags,
)
from .forecaster import Forecaster, ForecastTask
from .pool import ExpertPool, Maker

FEW_CHANNELS: Final = 8
"""Up to so many, the pool has more experts, that would take too long for many."""


def make_pool(task: ForecastTask, network: Maker = make_liquid_pool) -> ExpertPool:
    """The default: all experts that help, mixed."""
    some = (LastValue, RunningMean, SeasonalNaive, SeasonalProfile, seasonal_lags, network)
    few = task.channels <= FEW_CHANNELS
    return ExpertPool(
        task, (short_lags, HarmonicRegression, KernelExpert, RunningMedian, *some) if few else some
    )


def _of(*makers: Maker) -> Callable[[ForecastTask], Forecaster]:
    return partial(ExpertPool, makers=makers)


FORECASTERS: Final[dict[str, Callable[[ForecastTask], Forecaster]]] = {
    "pool": make_pool,
    "pool-gru": partial(make_pool, network=make_gru_pool),
    "last": _of(LastValue),
    "seasonal": _of(SeasonalNaive),
    "median": _of(RunningMedian),
    "rls": _of(lag_set),
    "dlinear": _of(DLinear),
    "snarimax": _of(DifferencedRegression),
    "huber": _of(seasonal_lags),
    "harmonic": _of(HarmonicRegression),
    "kernel": _of(KernelExpert),
    "linear": _of(LinearNetworkExpert),
    "liquid": _of(make_liquid_pool),
    "gru": _of(make_gru_pool),
    "ltc": _of(make_ltc_pool),
    "echo": _of(make_echo_pool),
}
