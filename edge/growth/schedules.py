"""Learning rates by step, relative to the largest one: tuples of numbers from 0 to 1.

Simple and Scalable Strategies to Continually Pre-train Large Language Models (Ibrahim et al. 2024),
abstract: the rate rises and falls again for new data, or follows a schedule that is not bound to a
number of steps.
"""

import math
from typing import Final

WARM: Final = 0.1
"""Share of the steps in which the rate rises.  Chosen by hand; effect not measured."""
LOWEST: Final = 0.1
"""The rate at the end of a decay.  Chosen by hand; effect not measured."""
CONSTANT: Final = 0.5
"""The rate of the constant phase.  Chosen by hand; effect not measured."""
WARM_STEPS: Final = 2
"""Steps in which the rate of an unbounded schedule rises.  Chosen by hand; effect not measured."""
COOLING_STEPS: Final = 6
"""Steps in which it then falls to the constant one.  Chosen by hand; effect not measured."""


def rewarm(steps: int) -> tuple[float, ...]:
    """Return a linear rise over the first tenth and a cosine decay to LOWEST over the rest."""
    warm = max(1, round(WARM * steps))
    rise = [(step + 1) / warm for step in range(min(warm, steps))]
    fall = steps - len(rise)
    return (*rise, *(_cosine(1.0, LOWEST, (step + 1) / fall) for step in range(fall)))


def unbounded(steps: int) -> tuple[float, ...]:
    """Return a rise, a decay by the inverse root and a constant rate, for ever: more steps change
    no earlier rate."""
    made = []
    for step in range(steps):
        if step < WARM_STEPS:
            made.append((step + 1) / WARM_STEPS)
        else:
            made.append(_inverse_root(min(1.0, (step - WARM_STEPS + 1) / COOLING_STEPS)))
    return tuple(made)


def annealing(steps: int) -> tuple[float, ...]:
    """Return an exponential decay from CONSTANT to LOWEST, which ends an unbounded schedule."""
    return tuple(CONSTANT * (LOWEST / CONSTANT) ** ((step + 1) / steps) for step in range(steps))


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _inverse_root(share: float) -> float:
    """Return the rate between 1 and CONSTANT that falls as one over the root of the time."""
    return 1 / math.sqrt(1 + (CONSTANT**-2 - 1) * share)
