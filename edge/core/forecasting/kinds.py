"""The table of forecasters, by name."""

from collections.abc import Callable
from functools import partial
from typing import Final

from .forecaster import Forecaster, Task
from .mixture import Maker, Mixture
from .networks import Linear, echo, gru, liquid
from .plain import Last, Mean, Profile, Seasonal
from .regressed import lags, quick, short, steady

POOL: Final[tuple[Maker, ...]] = (Last, Mean, Seasonal, Profile, short, quick, steady, liquid)


def _of(*makers: Maker) -> Callable[[Task], Forecaster]:
    return partial(Mixture, makers=makers)


FORECASTERS: Final[dict[str, Callable[[Task], Forecaster]]] = {
    "pool": _of(*POOL),
    "pool-gru": _of(*(gru if one is liquid else one for one in POOL)),
    "last": _of(Last),
    "seasonal": _of(Seasonal),
    "rls": _of(lags),
    "huber": _of(steady),
    "linear": _of(Linear),
    "liquid": _of(liquid),
    "gru": _of(gru),
    "echo": _of(echo),
}
