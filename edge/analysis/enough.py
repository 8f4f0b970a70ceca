"""Have I labelled enough?  The held-out accuracy of each concept, and how many more labels gain a
point.

Errors of a learner fall with a power of the number of its examples (Hestness et al. 2017, "Deep
learning scaling is predictable, empirically").  The power is estimated for each domain from heads
on a quarter, a half and all of its facts.
"""

import math
from typing import Final

import msgspec
import numpy as np

from ..core import wilson_interval
from .learned import Domain, Learned
from .suspicious import left_out_scores

SHARES: Final = (4, 2, 1)
"""Parts that the facts of a domain are split in: each part is answered by itself."""

GAIN: Final = 0.01
"""One point of accuracy."""

POWER: Final = (0.05, 1.0)
"""Lowest and highest power of a learning curve that is believed: below, more labels of the same
kind hardly help.  Hestness et al. measured powers of 0.07 to 0.35 on large sets."""

MORE_MAX: Final = 10_000
"""More labels than people give: reported as none that help."""

FACTS_MIN: Final = 8
"""Fewest facts of a domain whose curve is estimated.  Chosen by hand; effect not measured."""


class Enough(msgspec.Struct, frozen=True, kw_only=True):
    """How well a concept is known.

    accuracy: share of its facts that are answered right when each is left out; low, high: its 95 %
    interval (Wilson 1927).  facts: of the concept.  more: labels of this concept that probably gain
    a point; 0 if less than a point is missing, None if more of the same kind hardly help or too few
    facts are there to decide.  advice: one sentence.
    """

    accuracy: float
    low: float
    high: float
    facts: int
    more: int | None
    advice: str


def how_much_more(learned: Learned) -> dict[str, Enough]:
    """Return by concept (domain/label) how well it is known."""
    return {name: one for domain in learned.domains for name, one in _of_domain(domain).items()}


def _of_domain(domain: Domain) -> dict[str, Enough]:
    if len(domain.labels) < 2:
        only = domain.labels[0]
        return {f"{domain.name}/{only}": _alone(len(domain))}
    errors = [_errors(domain, parts) for parts in SHARES]
    power = _power([float(one.mean()) for one in errors])
    made = {}
    for number, label in enumerate(domain.labels):
        wrong = errors[-1][domain.given == number]
        made[f"{domain.name}/{label}"] = _enough(len(wrong), int(wrong.sum()), power)
    return made


def _errors(domain: Domain, parts: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return which facts are answered wrong by the other facts of their part."""
    wrong = np.zeros(len(domain), np.bool_)
    for part in range(parts):
        rows = np.arange(part, len(domain), parts)
        if not len(rows):
            continue
        own = Domain(
            name=domain.name,
            ids=tuple(domain.ids[row] for row in rows),
            features=domain.features[rows],
            labels=domain.labels,
            given=domain.given[rows],
            groups=domain.groups[rows],
        )
        wrong[rows] = left_out_scores(own).argmax(axis=1) != own.given
    return wrong


def _power(errors: list[float]) -> float:
    """Return the power with which the error falls, from errors at a quarter, a half and all."""
    sizes = np.log([1 / parts for parts in SHARES])
    rates = np.log(np.maximum(errors, 1e-3))
    slope = float(np.polyfit(sizes, rates, 1)[0])
    return min(max(-slope, 0.0), POWER[1])


def _enough(facts: int, wrong: int, power: float) -> Enough:
    accuracy = (facts - wrong) / facts
    low, high = wilson_interval(accuracy, facts)
    # Half a fact more in each direction: none wrong of ten does not mean that none ever is.
    error = (wrong + 0.5) / (facts + 1)
    more: int | None = None
    if error <= GAIN:
        more = 0
    elif power >= POWER[0] and facts >= FACTS_MIN:
        needed = facts * ((error / (error - GAIN)) ** (1 / power) - 1)
        more = math.ceil(needed) if needed <= MORE_MAX else None
    return Enough(
        accuracy=round(accuracy, 4),
        low=round(low, 4),
        high=round(high, 4),
        facts=facts,
        more=more,
        advice=_advice(facts, more),
    )


def _alone(facts: int) -> Enough:
    return Enough(
        accuracy=1.0,
        low=wilson_interval(1.0, facts)[0],
        high=1.0,
        facts=facts,
        more=None,
        advice="label a second concept of this domain: one alone cannot be confused",
    )


def _advice(facts: int, more: int | None) -> str:
    if more == 0:
        return "enough: less than one point is missing"
    if more is not None:
        return f"about {more} more labels gain a point"
    if facts < FACTS_MIN:
        return f"label at least {FACTS_MIN - facts} more to decide"
    return "more labels of the same kind hardly help: label other cases, or check the labels"
