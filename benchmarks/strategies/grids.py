"""The settings that each strategy is tuned over, on validation rows of the first variant."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

RATES: Final = (0.01, 0.03, 0.1)
"""Learning rates of SGD, half a decade apart."""
EPOCHS: Final = (5, 20)
"""Passes over a task."""
ADAM_RATES: Final = (1e-3, 3e-3)
"""Learning rates of AdamW, half a decade apart."""
SCALINGS: Final = ("raw", "centred", "standard")
"""How columns are scaled: all alike, less their mean in the first task, or also by
their deviation there."""

_SGD: Final[Mapping[str, tuple[Any, ...]]] = {
    "rate": RATES,
    "epochs": EPOCHS,
    "scaling": ("centred", "standard"),
}
_FEWER: Final[Mapping[str, tuple[Any, ...]]] = {**_SGD, "rate": (0.01, 0.1)}
"""Rates of strategies with a strength of their own to tune."""
_REFRESHED: Final[Mapping[str, tuple[Any, ...]]] = {
    **_FEWER,
    "epochs": EPOCHS[1:],
    "refresh": (1e-3, 1e-2),
}
_ADAM: Final[Mapping[str, tuple[Any, ...]]] = {
    "rate": ADAM_RATES,
    "scaling": SCALINGS,
}
_TAPS: Final[Mapping[str, tuple[Any, ...]]] = {
    "taps": ("final", "all"),
    "scaling": SCALINGS,
}

GRIDS: Final[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
    "naive": _SGD,
    "naive, refresh": _REFRESHED,
    "replay": _SGD,
    "replay, refresh": _REFRESHED,
    "replay, balanced": _SGD,
    "replay, selected": _SGD,
    "replay, adaptive": _SGD,
    "der++": {**_FEWER, "outputs": (0.1, 0.5)},
    "ewc": {**_FEWER, "strength": (10.0, 100.0, 1000.0)},
    "ewc, refresh": {**_REFRESHED, "strength": (10.0, 100.0, 1000.0)},
    "si": {**_FEWER, "strength": (1.0, 10.0, 100.0)},
    "lwf": {**_FEWER, "strength": (1.0, 3.0, 10.0)},
    "ncm": _TAPS,
    "slda": {"shrinkage": (1e-4, 1e-2, 0.1, 0.3), "scaling": SCALINGS},
    "ridge": {"penalty": (0.03, 0.1, 0.3, 1.0), "scaling": SCALINGS},
    "ranpac": {"penalty": (None, 0.1, 0.3), "scaling": ("raw", "centred")},
    "aper": _ADAM,
    "lae": _ADAM,
    "mos": _ADAM,
    "tricks": _ADAM,
    "joint": {"rate": RATES, "epochs": (10, 30), "scaling": ("centred", "standard")},
}
"""Candidates of every setting, by strategy; those without an entry have none to tune."""


def candidates(name: str) -> Iterator[dict[str, Any]]:
    """Yield the settings of a strategy to try; a single empty one without a grid."""
    grid = GRIDS.get(name, {})
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))
