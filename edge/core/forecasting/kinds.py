"""The table of forecasters, by name."""

from collections.abc import Callable
from functools import partial
from typing import Final

from .differenced import Differenced
from .dlinear import DLinear
from .forecaster import Forecaster, Task
from .harmonic import Harmonic
from .kernel import Kernel
from .mixture import Maker, Mixture
from .networks import Linear, echo, gru, liquid, ltc
from .plain import Last, Mean, Median, Profile, Seasonal
from .regressed import lags, season, short

FEW_CHANNELS: Final = 8
"""Up to so many, the pool has more experts, that would take too long for many."""


def pool(task: Task, network: Maker = liquid) -> Mixture:
    """The default: all experts that help, mixed."""
    some = (Last, Mean, Seasonal, Profile, season, network)
    few = task.channels <= FEW_CHANNELS
    return Mixture(task, (short, Harmonic, Kernel, Median, *some) if few else some)


def _of(*makers: Maker) -> Callable[[Task], Forecaster]:
    return partial(Mixture, makers=makers)


FORECASTERS: Final[dict[str, Callable[[Task], Forecaster]]] = {
    "pool": pool,
    "pool-gru": partial(pool, network=gru),
    "last": _of(Last),
    "seasonal": _of(Seasonal),
    "median": _of(Median),
    "rls": _of(lags),
    "dlinear": _of(DLinear),
    "snarimax": _of(Differenced),
    "huber": _of(season),
    "harmonic": _of(Harmonic),
    "kernel": _of(Kernel),
    "linear": _of(Linear),
    "liquid": _of(liquid),
    "gru": _of(gru),
    "ltc": _of(ltc),
    "echo": _of(echo),
}
