"""Probes around the forgotten facts: the facts themselves, changed ones, neighbours, and inputs
found by an adversarial search.

After RWKU (Jin et al. 2024, "RWKU: benchmarking real-world knowledge unlearning", section 3): an
unlearned model is asked in ways that rising effort allows, and its answers on neighbouring
knowledge must stay.  The reference for both is a twin that never saw the facts.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch, select_rows
from ..core.adaptors import LEVELS
from .answers import AuditedModel
from .findings import Figure, Finding
from .intervals import mean_interval

Floats = NDArray[np.float64]
Features = NDArray[np.uint8]

SOURCE: Final = "Jin et al. 2024, RWKU, section 3"

TITLES: Final = {
    "direct_probes": "Forgotten facts asked again",
    "perturbed_probes": "Forgotten facts, changed",
    "adversarial_probes": "Adversarial search",
    "neighbour_probes": "Neighbours of forgotten facts",
}
"""The probes with their titles."""

NOISES: Final = (0.1, 0.25, 0.5)
"""Largest change of a column, in its standard deviations: at half of one, most facts keep their
nearest neighbour."""

NEIGHBOURS: Final = 4
"""Retained facts probed near each forgotten one.  Chosen by hand; effect not measured."""

ITEMS_MAX: Final = 64
"""Forgotten facts that the search starts from: bounds its time to 2 s."""

SEARCH_STEPS: Final = 60
"""Steps of the search: changes tried on each fact.  Chosen by hand; effect not measured."""

SEARCH_COLUMNS: Final = 16
"""Share of the columns changed in a step: one in 16.  Chosen by hand; effect not measured."""


def probe(
    models: tuple[AuditedModel, AuditedModel],
    forgotten: FactBatch,
    retained: FactBatch,
    seed: int,
) -> tuple[Finding, ...]:
    """Return the findings of all probes of the home and its twin."""
    few = select_rows(forgotten, np.arange(min(len(forgotten), ITEMS_MAX)))
    known = [one.features for one in (forgotten, retained) if len(one)]
    spread = np.concatenate(known).std(axis=0)
    found = [
        _finding("direct_probes", models, forgotten, None, seed),
        *_perturbed(models, forgotten, spread, seed),
        _finding("adversarial_probes", models, few, adversarial(models, few, spread, seed), seed),
    ]
    if len(retained):
        near = neighbours(forgotten, retained)
        found.append(_finding("neighbour_probes", models, near, None, seed))
    return tuple(found)


def neighbours(forgotten: FactBatch, retained: FactBatch) -> FactBatch:
    """Return the retained facts nearest to the forgotten ones, by the angle between the roots of
    their features."""
    near, far = _directions(forgotten.features), _directions(retained.features)
    order = np.argsort(-(near @ far.T), axis=1)[:, :NEIGHBOURS]
    return select_rows(retained, np.unique(order))


def adversarial(
    models: tuple[AuditedModel, AuditedModel], rows: FactBatch, spread: Floats, seed: int
) -> Features:
    """Return changed features that the home answers with the forgotten labels as much more surely
    than the twin as a random search finds, within half a deviation of each column.

    In each step some columns change by a random sign, and the change is kept where it widens the
    gap (after SimBA, Guo et al. 2019, algorithm 1).  spread: [width], the columns' deviations.
    """
    random = np.random.default_rng(seed)
    base = rows.features.astype(np.float64)
    best, gaps = rows.features, _gaps(models, rows, rows.features)
    reach = NOISES[-1] * spread
    for _ in range(SEARCH_STEPS):
        chosen = random.random(base.shape) < 1 / min(SEARCH_COLUMNS, base.shape[1])
        moved = best + chosen * random.choice((-1.0, 1.0), base.shape) * reach / 2
        tried = _levels(np.clip(moved, base - reach, base + reach))
        found = _gaps(models, rows, tried)
        better = found > gaps
        best = np.where(better[:, None], tried, best)
        gaps = np.where(better, found, gaps)
    return best


def _perturbed(
    models: tuple[AuditedModel, AuditedModel], rows: FactBatch, spread: Floats, seed: int
) -> tuple[Finding, ...]:
    """Probe with random changes of each size, and report those with the largest difference."""
    random = np.random.default_rng(seed)
    shape = rows.features.shape
    tried = [
        _levels(rows.features + most * spread * random.uniform(-1, 1, shape)) for most in NOISES
    ]
    widest = max(tried, key=lambda one: float(np.abs(_gaps(models, rows, one)).max()))
    return (_finding("perturbed_probes", models, rows, widest, seed),)


def _levels(values: Floats) -> Features:
    """Return the nearest levels that features can have."""
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _gaps(models: tuple[AuditedModel, AuditedModel], rows: FactBatch, features: Features) -> Floats:
    """Return how much surer the home is of each label than the twin."""
    served, twin = models
    return np.asarray(served.margins(rows, features) - twin.margins(rows, features))


def _finding(
    key: str,
    models: tuple[AuditedModel, AuditedModel],
    rows: FactBatch,
    features: Features | None,
    seed: int,
) -> Finding:
    given = rows.features if features is None else features
    served, twin = (model.margins(rows, given) for model in models)
    gaps = served - twin
    widest = float(np.abs(gaps).max())
    mean = mean_interval(gaps, seed)
    fails = widest > 0 and not mean.holds_zero
    text = (
        f"The home answers all {len(rows)} exactly as a twin that never saw the facts."
        if not widest
        else "The home's answers differ from those of a twin that never saw the facts, more than"
        " chance explains."
        if fails
        else "The home's answers differ from the twin's on single facts, not on average."
    )
    return Finding(
        key=key,
        title=TITLES[key],
        evidence="tested",
        outcome="fails" if fails else "holds",
        text=text,
        source=SOURCE,
        figures=(
            Figure(
                name="answered with the label, home",
                value=100 * float((served > 0).mean()),
                unit="%",
            ),
            Figure(
                name="answered with the label, twin", value=100 * float((twin > 0).mean()), unit="%"
            ),
            Figure(
                name="mean difference of margins", value=mean.value, low=mean.low, high=mean.high
            ),
            Figure(name="largest difference", value=widest),
        ),
    )


def _directions(features: Features) -> Floats:
    roots = LEVELS[features].astype(np.float64)
    return np.asarray(roots / (np.linalg.norm(roots, axis=1, keepdims=True) + 1e-9))
