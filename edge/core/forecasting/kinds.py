"""The table of forecasters, by name."""

from collections.abc import Callable
from functools import partial
from typing import Final

from .differenced import Differenced
from .dlinear import DLinear
from .forecaster import Forecaster, Task
from .mixture import Maker, Mixture
from .networks import Linear, echo, gru, liquid, ltc
from .plain import Last, Mean, Profile, Seasonal
from .regressed import lags, season, short

POOL: Final[tuple[Maker, ...]] = (Last, Mean, Seasonal, Profile, short, season, liquid)


def _of(*makers: Maker) -> Callable[[Task], Forecaster]:
    return partial(Mixture, makers=makers)


FORECASTERS: Final[dict[str, Callable[[Task], Forecaster]]] = {
    "pool": _of(*POOL),
    "pool-gru": _of(*(gru if one is liquid else one for one in POOL)),
    "last": _of(Last),
    "seasonal": _of(Seasonal),
    "rls": _of(lags),
    "dlinear": _of(DLinear),
    "snarimax": _of(Differenced),
    "huber": _of(season),
    "linear": _of(Linear),
    "liquid": _of(liquid),
    "gru": _of(gru),
    "ltc": _of(ltc),
    "echo": _of(echo),
}
