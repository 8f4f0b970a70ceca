"""Recipes for the training of a forecasting network on a recording, in order of time.

To add one: one line in NETWORK_RECIPES.  Schedules and replay
after Ibrahim et al. 2024 (`schedules.py`), the warm-up after WSRL (Zhou et al. 2024, abstract): a
frozen network is first recalibrated on the newest samples, and older ones then take no part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from .schedules import annealing, rewarm, unbounded

NEWEST: Final = 0.25
"""Share of a recording whose samples are new.  Chosen by hand; effect not measured."""
REPLAY: Final = 0.05
"""Share of windows from the whole recording while new samples are learned: small, as in the
abstract.  Chosen by hand; effect not measured."""
WARM_SHARE: Final = 0.1
"""Share of the steps in which a frozen network is recalibrated.  Chosen by hand; effect not
measured."""
READOUT: Final = "readout."
"""Prefix of the parameters that read out the network's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecipe:
    """How a network is trained.

    schedule: "cosine" (falls to zero from the first step), "rewarm" or "unbounded" of
    `schedules.py`.  old_first: the first half of the steps sees old windows, the second half new
    ones with a little replay.  warmed: the readout alone is trained at first, and only the newest
    windows are ever seen.
    """

    schedule: str = "cosine"
    old_first: bool = False
    warmed: bool = False

    def rates(self, steps: int) -> tuple[float, ...] | None:
        """Return the rates of all steps, relative to the first of a cosine schedule; None for the
        cosine schedule of torch."""
        if self.schedule == "cosine":
            return None
        first, end = steps // 2, max(1, steps // 8)
        if self.schedule == "rewarm":
            return (*rewarm(first), *rewarm(steps - first))
        return (*unbounded(steps - end), *annealing(end))

    def frozen(self, name: str, step: int, steps: int) -> bool:
        """Return whether a parameter stays as it is in a step."""
        return self.warmed and step < WARM_SHARE * steps and not name.startswith(READOUT)

    def window_range(
        self, length: int, step: int, steps: int, random: np.random.Generator
    ) -> tuple[int, int]:
        """Return the range of first samples of a window, of so many, from which one is drawn."""
        new = int((1 - NEWEST) * length)
        if self.warmed:
            return new, length
        if not self.old_first:
            return 0, length
        if step < steps // 2:
            return 0, max(1, new)
        return (0, length) if random.random() < REPLAY else (new, length)


NETWORK_RECIPES: Final[Mapping[str, NetworkRecipe]] = {
    "plain": NetworkRecipe(),
    "rewarm": NetworkRecipe(schedule="rewarm", old_first=True),
    "budget-free": NetworkRecipe(schedule="unbounded", old_first=True),
    "warm-start": NetworkRecipe(warmed=True),
}
"""Plain training draws windows from the whole recording."""
