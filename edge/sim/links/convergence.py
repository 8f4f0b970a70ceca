"""How long forecasts need after an event until they are as good as before it."""

import numpy as np
from numpy.typing import NDArray

WINDOW_STEPS = 5
"""Errors in the mean that must recover.  Chosen by hand."""
BEFORE_STEPS = 48
"""Four hours of five-minute steps.  Chosen by hand."""
TOLERANCE = 1.1
"""Within 10 % of the error before the event counts as recovered.  Chosen by hand."""
CAP_STEPS = 100
"""Longest time to convergence that is reported.  Chosen by hand."""


def steps_to_convergence(
    errors: NDArray[np.float64], event: int, until: int | None = None
) -> int | None:
    """Steps from an event until a mean of five errors is at most 1.1 times the mean before it.

    errors [steps]: a method's own error at each step (float64; not a number where there is none).
    event: the first step under new conditions; the 48 steps before it are what it is compared with.
    until: the step of the next event, where looking on ends; 100 steps are the cap, returned where
    the error stays higher.  None where there is nothing to compare with or no whole window after
    it.  Time to convergence of arXiv 2404.05304; it rewards a method that was bad before, so read
    it beside the errors themselves.
    """
    past = errors[max(0, event - BEFORE_STEPS) : event]
    past = past[np.isfinite(past)]
    stop = len(errors) if until is None else until
    after = errors[event : min(stop, event + CAP_STEPS + WINDOW_STEPS)]
    if not len(past) or len(after) < WINDOW_STEPS:
        return None
    means = np.convolve(after, np.full(WINDOW_STEPS, 1 / WINDOW_STEPS), "valid")
    good = np.flatnonzero(means <= TOLERANCE * past.mean())
    return int(good[0]) if len(good) else CAP_STEPS
