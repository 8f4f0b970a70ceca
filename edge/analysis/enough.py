"""Have I labelled enough?  The held-out accuracy of each concept, and what the next labels of its
domain will probably gain.

The constants of the gain were chosen on development sets: see `benchmarks/active/gain.py`.
"""

import math
from typing import Final

import msgspec
import numpy as np

from ..core import wilson_interval
from .learned import Domain, Learned
from .learning_curve import GAIN_LABELS, Wrong, left_out_errors

GAIN: Final = 0.01
"""One point of accuracy."""

MORE_MAX: Final = 10_000
"""More labels than people give: reported as none that help."""

FACTS_MIN: Final = 8
"""Fewest facts of a domain whose gain is estimated.  Chosen by hand; effect not measured."""

ERROR_POWER: Final = 0.221
"""Power with which errors fall, and the next with `SINGLE_POWER`: fitted to the measured gains of
development sets."""

SINGLE_POWER: Final = 0.414
"""Gain for each share of facts whose label was given once only."""

GAIN_RANGE: Final = (0.1, 2.4)
"""Shares of the expected gain between which eight of ten measured gains lay on development sets."""

GAIN_NOISE: Final = 0.005
"""Widens the range at both ends."""


class Enough(msgspec.Struct, frozen=True, kw_only=True):
    """How well a concept is known.

    domain: of the concept.  accuracy: share of its facts that are answered right when each is left
    out; low, high: its 95 % interval (Wilson 1927).  facts: of the concept.  gain: expected rise of
    the domain's accuracy with its next `GAIN_LABELS` labels, whichever they are; gain_low,
    gain_high: eight of ten measured gains lay between these.  All three are equal for all concepts
    of a domain, and None with too few facts to decide.  more: labels of this domain that probably
    gain a point; 0 if less than a point is missing, None if that would take more than `MORE_MAX`,
    or with too few facts.
    advice: one sentence on the concept.  outlook: one sentence on the gain of its domain.
    """

    domain: str
    accuracy: float
    low: float
    high: float
    facts: int
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    more: int | None = None
    advice: str
    outlook: str


class ExpectedGain(msgspec.Struct, frozen=True):
    """What the next labels of a domain gain: `rate` for each unit of the logarithm of the number of
    its labels, of which it has `facts`."""

    rate: float
    facts: int

    def after(self, labels: int) -> float:
        """Return the expected rise of accuracy with so many more labels."""
        return self.rate * math.log1p(labels / self.facts)

    def labels_for(self, gain: float) -> int | None:
        """Return how many more labels reach a gain; None for more than `MORE_MAX`."""
        if gain > self.after(MORE_MAX):
            return None
        return math.ceil(self.facts * math.expm1(gain / self.rate))

    def range(self, labels: int) -> tuple[float, float]:
        """Return between which gains eight of ten will lie."""
        expected = self.after(labels)
        low, high = GAIN_RANGE
        return low * expected - GAIN_NOISE, high * expected + GAIN_NOISE


def how_much_more(learned: Learned) -> dict[str, Enough]:
    """Return by concept (domain/label) how well it is known."""
    made: dict[str, Enough] = {}
    for domain in learned.domains:
        others = tuple(one for one in learned.domains if one is not domain)
        made |= _of_domain(domain, others)
    return made


def expected_gain(domain: Domain, wrong: Wrong) -> ExpectedGain:
    """Return what the next labels of a domain gain.  wrong: its `left_out_errors`."""
    facts = len(domain)
    # Half a fact more in each direction: none wrong of ten does not mean that none ever is.
    error = (float(wrong.sum()) + 0.5) / (facts + 1)
    single = float((np.bincount(domain.given) == 1).sum()) / facts
    return ExpectedGain(ERROR_POWER * error + SINGLE_POWER * single, facts)


def _of_domain(domain: Domain, others: tuple[Domain, ...]) -> dict[str, Enough]:
    if len(domain.labels) < 2:
        only = domain.labels[0]
        return {f"{domain.name}/{only}": _alone(domain.name, len(domain))}
    wrong = left_out_errors(domain, others)
    gain = expected_gain(domain, wrong) if len(domain) >= FACTS_MIN else None
    made = {}
    for number, label in enumerate(domain.labels):
        own = wrong[domain.given == number]
        made[f"{domain.name}/{label}"] = _enough(domain.name, own, gain)
    return made


def _enough(domain: str, own: Wrong, gain: ExpectedGain | None) -> Enough:
    facts, wrong = len(own), int(own.sum())
    accuracy = (facts - wrong) / facts
    low, high = wilson_interval(accuracy, facts)
    enough = (wrong + 0.5) / (facts + 1) <= GAIN
    more = 0 if enough else gain.labels_for(GAIN) if gain else None
    expected = gain.after(GAIN_LABELS) if gain else None
    between = gain.range(GAIN_LABELS) if gain else None
    return Enough(
        domain=domain,
        accuracy=round(accuracy, 4),
        low=round(low, 4),
        high=round(high, 4),
        facts=facts,
        gain=None if expected is None else round(expected, 4),
        gain_low=None if between is None else round(between[0], 4),
        gain_high=None if between is None else round(between[1], 4),
        more=more,
        advice=_advice(more, gain),
        outlook=_outlook(domain, expected, between),
    )


def _alone(domain: str, facts: int) -> Enough:
    return Enough(
        domain=domain,
        accuracy=1.0,
        low=wilson_interval(1.0, facts)[0],
        high=1.0,
        facts=facts,
        advice="label a second concept of this domain: one alone cannot be confused",
        outlook=f"{_outlook(domain, None, None)}; it has a single concept",
    )


def _outlook(domain: str, expected: float | None, between: tuple[float, float] | None) -> str:
    if expected is None or between is None:
        return f"{domain}: too few labels to predict the gain of more"
    low, high = (f"{100 * max(0.0, one):.1f}" for one in between)
    gain = f"{100 * expected:.1f}"
    return (
        f"{domain}: the next {GAIN_LABELS} labels gain about {gain} points of accuracy"
        f" ({low} to {high})"
    )


def _advice(more: int | None, gain: ExpectedGain | None) -> str:
    if more == 0:
        return "enough: less than one point is missing"
    if gain is None:
        return f"label at least {FACTS_MIN} of its domain to decide"
    if more is not None:
        return f"about {more} more labels of its domain gain a point"
    return "more labels of the same kind hardly help: label other cases, or check the labels"
