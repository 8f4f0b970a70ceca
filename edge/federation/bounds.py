"""Bounds on what one device can do to a round of training.

Sums of facts are bounded by what facts can sum up to; a trained model is not.  So each update is
compared with the round's others: one that no device can mean is refused with the reason, a long one
is shortened, and a claim of very many facts is cut.  The bounds are medians, which hold as long as
fewer than half of the devices lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ..core import limits
from .arrays import Arrays, add_scaled, are_finite, difference, inner_product
from .local_training import LocalResult

REFUSED_NORM: Final = 100.0
"""Length of an update, over the round's median, from which it is refused.  Chosen by hand: honest
updates of the measured fleets stay below 3."""
WEIGHT_MAX: Final = 3.0
"""Most facts that count of a device, over the median of those that take part: 2.2 is the most of
honest devices in the measured fleets."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RoundResults:
    """A round's results that count.  bounded: devices whose update was shortened, or whose number
    of facts was cut.  refused: devices whose result is left out, and why."""

    results: tuple[LocalResult, ...]
    bounded: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)


def bound_results(current: Arrays, results: Sequence[LocalResult], bound: float) -> RoundResults:
    """Return the results of a round that count.

    bound: greatest length of an update times its number of facts, over the median of the round (Sun
    et al. 2019, "Can you really backdoor federated learning?", abstract, clip the length; the
    median as its scale, and the facts, are ours); 0: any.  Numbers that are not finite and numbers
    of facts that no device has are refused in any case.  Cost: one pass over each model.
    """
    refused = {one.device: reason for one in results if (reason := _impossible(one))}
    usable = [one for one in results if one.device not in refused]
    if not bound or not usable:
        return RoundResults(results=tuple(usable), refused=refused)
    updates = [difference(one.arrays, current) for one in usable]
    norms = [inner_product(one, one) ** 0.5 for one in updates]
    usual = float(np.median(norms))
    facts = WEIGHT_MAX * float(np.median([one.examples for one in usable]))
    weights = [min(facts, float(one.examples)) for one in usable]
    most = bound * float(np.median(np.multiply(norms, weights)))
    kept, bounded = [], []
    for one, update, norm, weight in zip(usable, updates, norms, weights, strict=True):
        if norm > REFUSED_NORM * usual:
            refused[one.device] = (
                f"its update is {norm:.3g} long, the median of the round {usual:.3g}; at most"
                f" {REFUSED_NORM:g} times as long is accepted"
            )
            continue
        made = one
        if norm * weight > most:
            made = replace(made, arrays=add_scaled(current, update, most / (norm * weight)))
        if one.examples > weight:
            made = replace(made, examples=int(weight))
        kept.append(made)
        bounded += [] if made is one else [one.device]
    return RoundResults(results=tuple(kept), bounded=tuple(bounded), refused=refused)


def _impossible(one: LocalResult) -> str:
    """Return why a result cannot be meant; empty if it can."""
    if not are_finite(one.arrays):
        return "its model holds numbers that are not finite"
    if not 0 < one.examples <= limits.CONTRIBUTED_SAMPLES_MAX:
        return f"it names {one.examples} facts, expected 1 to {limits.CONTRIBUTED_SAMPLES_MAX}"
    return ""
