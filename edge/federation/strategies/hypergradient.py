"""FedHyper: learning rates that follow hypergradients (Wang, Wang & Li, ICLR 2024; read: abstract
and the authors' code).

The hypergradient of a rate is the inner product of successive updates: where they point the same
way, larger steps would have been better.  Bounds are those of the authors' code.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ..arrays import Arrays, add_scaled, cosine, difference, inner_product
from ..local_training import LocalPlan, LocalResult
from .averaging import average
from .strategy import NO_ARRAYS, FederatedSettings, PlannedStrategy

GLOBAL_MIN: Final = -0.8
"""Lowest sum of global hypergradients, so that the global rate is at least 0.2: the authors'
value."""
GLOBAL_MAX: Final = 4.0
"""Highest sum of global hypergradients, so that the global rate is at most 5: the authors'
value."""
SERVER_BOUND: Final = 10.0
"""Local rates set by the server stay between the initial rate over this and times this: the
authors' 0.001 to 0.1 around their 0.01."""
RETRY: Final = 0.1
"""Factor of the rate after a round that is taken back.  Chosen by hand; effect not measured."""
LOSS_RISE: Final = 1.5
"""Rise of the devices' loss, over the lowest so far, that takes the rounds since back if it is also
above the loss of the start.  Without the second condition late rounds were taken back by chance:
batches of few facts have losses near zero that vary by more than half."""
GLOBAL_STEP: Final = 0.5
"""Change of the logarithm of the server's factor for two mean updates in the same direction."""
FITTED: Final = 0.4
"""Share of the loss of the start below which the server's step shrinks with the loss: what fits
already is only fitted more closely.  None, .1, .2 and .4 on digits, seeds 2 and 3, 50 rounds: 85.5,
85.8, 86.1 and 86.6 %; none and .4 on PACS: 87.6 and 87.1."""
CEILING: Final = 0.5
"""Share of a rate that failed which rates reach after it.  Without it, fleets of small devices ran
into the same failure every five rounds, and ended with it if it was the last one."""
SMALLEST: Final = 1e-300
"""In place of a rate of 0, which has no logarithm."""
RATE_SPAN: Final = 1e4
"""Rates stay between the initial rate over this and times this: twice the orders of magnitude that
an initial rate may be wrong by."""


class FedHyperGlobal(PlannedStrategy):
    """FedHyper-G: the server scales the mean update by 1 + the sum of inner products of successive
    mean updates."""

    def __init__(self, settings: FederatedSettings) -> None:
        super().__init__(settings)
        self._sum = 0.0
        self._last: Arrays = NO_ARRAYS

    @property
    def global_rate(self) -> float:
        """The factor of the next mean update."""
        return 1 + self._sum

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the model moved by the scaled mean update."""
        update = difference(average(results), current)
        if self._last:
            self._sum = _bounded(self._sum + inner_product(self._last, update))
        self._last = update
        return add_scaled(current, update, self.global_rate)


class FedHyperServer(PlannedStrategy):
    """FedHyper-SL: the server sets the rate on all devices from the same inner products."""

    def __init__(self, settings: FederatedSettings) -> None:
        super().__init__(settings)
        self._sum = 0.0
        self._last: Arrays = NO_ARRAYS

    def plan(self, number: int, devices: int) -> LocalPlan:
        """Return the plan with the rate of this round."""
        planned = super().plan(number, devices)
        factor = min(SERVER_BOUND, max(1 / SERVER_BOUND, 1 + self._sum))
        return replace(planned, rate=planned.rate * factor)

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the weighted mean of the models."""
        made = average(results)
        update = difference(made, current)
        if self._last:
            product = inner_product(self._last, update)
            self._sum += product if np.isfinite(product) else 0.0
        self._last = update
        return made


class FedHyperClient(PlannedStrategy):
    """FedHyper-CL: each device changes its rate from step to step, and starts each round with the
    initial one; the fleet's last update travels with the model."""

    def __init__(self, settings: FederatedSettings) -> None:
        super().__init__(settings)
        self._last: Arrays = NO_ARRAYS

    @property
    def direction(self) -> Arrays:
        """The mean update of the round before."""
        return self._last

    def plan(self, number: int, devices: int) -> LocalPlan:
        """Return the plan with client-side rates."""
        return replace(super().plan(number, devices), rule="hyper")

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the weighted mean of the models."""
        made = average(results)
        self._last = difference(made, current)
        return made


class FedHyper(FedHyperGlobal):
    """FedHyper-G on the server and FedHyper-CL on the devices together, the pair that the authors
    measure over initial rates."""

    @property
    def direction(self) -> Arrays:
        """The mean update of the round before, without the global rate."""
        return self._last

    def plan(self, number: int, devices: int) -> LocalPlan:
        """Return the plan with client-side rates."""
        return replace(super().plan(number, devices), rule="hyper")


class FedHyperRelative(PlannedStrategy):
    """Our variant of FedHyper for initial rates that may be wrong by orders of magnitude.

    Hypergradients are cosines, so that they do not depend on the scale of loss and parameters:
    those of successive gradients move the rate on the devices, as in FedHyper-CL, those of
    successive mean updates a factor on the server, as in FedHyper-G.  The rate that devices end a
    round with is carried into the next.  A round after which the loss is half above the lowest, and
    above that of the start, is taken back: the fleet returns to the model of the lowest loss with a
    tenth of the rate, which stays below half of the one that failed from then on.  Once most of the
    loss is gone, the step on the server shrinks with what is left.  Rate and loss of the fleet are
    medians, so that few devices cannot set them.
    """

    def __init__(self, settings: FederatedSettings) -> None:
        super().__init__(settings)
        self._rate = settings.rate
        self._factor, self._start_loss = 1.0, 0.0
        self._high = settings.rate * RATE_SPAN
        self._last: Arrays = NO_ARRAYS
        self._best: tuple[float, Arrays, float] | None = None

    def plan(self, number: int, devices: int) -> LocalPlan:
        """Return the plan with the carried rate."""
        return replace(super().plan(number, devices), rule="relative", rate=self._rate)

    def aggregate(self, current: Arrays, results: Sequence[LocalResult]) -> Arrays:
        """Return the weighted mean of the models, or the best model so far."""
        losses = [one.loss if np.isfinite(one.loss) else np.inf for one in results]
        loss = float(np.median(losses))
        if self._best is None:
            self._start_loss = loss
        elif loss > max(LOSS_RISE * self._best[0], self._start_loss):
            lowest, kept, rate = self._best
            self._high, self._factor = CEILING * self._rate, min(1.0, self._factor)
            self._rate = max(RETRY * min(rate, self._rate), self.settings.rate / RATE_SPAN)
            self._best, self._last = (lowest, kept, self._rate), NO_ARRAYS
            return kept
        if self._best is None or loss < self._best[0]:
            self._best = (loss, current, self._rate)
        low = self.settings.rate / RATE_SPAN
        logs = [np.log(max(one.rate, SMALLEST)) for one in results]
        self._rate = max(low, min(self._high, float(np.exp(np.median(logs)))))
        update = difference(average(results), current)
        if self._last:
            self._factor *= float(np.exp(GLOBAL_STEP * cosine(self._last, update)))
            self._factor = min(1 + GLOBAL_MAX, max(1 + GLOBAL_MIN, self._factor))
        self._last = update
        fitted = min(1.0, loss / (FITTED * self._start_loss)) if self._start_loss > 0 else 1.0
        return add_scaled(current, update, self._factor * fitted)


def _bounded(value: float) -> float:
    return min(GLOBAL_MAX, max(GLOBAL_MIN, value)) if np.isfinite(value) else GLOBAL_MIN
