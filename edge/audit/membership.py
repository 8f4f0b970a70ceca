"""Membership inference: telling from the answers that a fact was learned.

Two attacks, each on the home and on a twin that never saw the facts: the confidence attack, which
calls facts with high margins members (Yeom et al. 2018, section 3.2), and LiRA, which compares a
fact's margin with those of shadow models that did and did not learn it (Carlini et al. 2022).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .answers import AuditedModel
from .findings import Figure, Finding
from .intervals import AreaComparison, compare_areas
from .shadows import Pool, Shadows

Floats = NDArray[np.float64]

ITEMS_MIN: Final = 8
"""Fewest forgotten facts from which an attack's area says anything: with fewer, its interval covers
nearly everything."""

LIRA: Final = "Carlini et al. 2022, Membership inference attacks from first principles, section IV"


@dataclass(frozen=True, slots=True)
class MembershipResult:
    """The areas of both attacks on the home and on the twin."""

    confidence: AreaComparison
    lira: AreaComparison
    privacy_leakage: float


def likelihood_ratios(shadows: Shadows, at: NDArray[np.intp], observed: Floats) -> Floats:
    """Return LiRA's score of facts: log p(margin | learned) - log p(margin | not learned).

    Gaussians with the medians of the shadow models and one variance for all facts, as the official
    code does where shadow models are few (`generate_ours` with `fix_variance`).  at: rows of the
    pool.  observed: their margins under the attacked model.
    """
    inside, outside = shadows.centres(at)
    scale = 2 * shadows.deviation**2
    return np.asarray(((observed - outside) ** 2 - (observed - inside) ** 2) / scale)


def attack_membership(
    pool: Pool,
    shadows: Shadows,
    models: tuple[AuditedModel, AuditedModel],
    unseen: Floats,
    seed: int,
) -> MembershipResult:
    """Attack the home and its twin.  models: both.  unseen: `margins_unseen` of the pool; these are
    the non-members."""
    members = np.arange(pool.forgotten)
    served, twin = (model.margins(pool.forgotten_rows) for model in models)
    confidence = compare_areas(served, twin, unseen, seed)
    ratios = likelihood_ratios(shadows, members, served)
    ratios_twin = likelihood_ratios(shadows, members, twin)
    others = likelihood_ratios(shadows, pool.unseen, unseen)
    lira = compare_areas(ratios, ratios_twin, others, seed)
    leakage = lira.difference.value / lira.twin.value if lira.twin.value else float("nan")
    return MembershipResult(confidence, lira, leakage)


def membership_findings(result: MembershipResult, items: int) -> tuple[Finding, ...]:
    """Return the findings of both attacks.  items: number of attacked facts."""
    return (
        _finding("confidence_attack", "Confidence attack", result.confidence, items),
        _finding("lira", "Likelihood ratio attack (LiRA)", result.lira, items, result),
    )


def _finding(
    key: str,
    title: str,
    found: AreaComparison,
    items: int,
    result: MembershipResult | None = None,
) -> Finding:
    figures = [
        Figure(
            name="on the home",
            value=found.served.value,
            low=found.served.low,
            high=found.served.high,
        ),
        Figure(
            name="on the twin", value=found.twin.value, low=found.twin.low, high=found.twin.high
        ),
        Figure(
            name="difference",
            value=found.difference.value,
            low=found.difference.low,
            high=found.difference.high,
        ),
    ]
    if result is not None:
        figures.append(
            Figure(name="privacy leakage (MUSE)", value=100 * result.privacy_leakage, unit="%")
        )
    few = items < ITEMS_MIN and found.difference.value == 0
    leaks = not found.difference.holds_zero
    if leaks:
        text = "The attack tells the home's answers from those of a twin that never saw the facts."
    elif found.difference.value == 0:
        text = "The attack succeeds exactly as often on a twin that never saw the facts."
    else:
        text = "The attack does as well on a twin that never saw the facts, within the interval."
    if few:
        text += f" With {items} facts the attack alone would show little."
    return Finding(
        key=key,
        title=title,
        evidence="tested",
        outcome="fails" if leaks else "holds",
        text=text,
        source=LIRA
        if result is not None
        else "Yeom et al. 2018, Privacy risk in machine learning, section 3.2",
        figures=tuple(figures),
    )
