"""The sums of the facts that are published, as the arrays of a contribution."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hdc

from .. import limits
from ..facts import Concept, FactBatch, Rank, hash_rank
from .cohorts import Cohort
from .contributions import pack_sums
from .moments import Moments
from .refits import CODED_ROWS

Rows = NDArray[np.uint8]
Coded = tuple[str, str, hdc.Codes]


def sum_published(
    batches: Callable[[], Iterable[FactBatch]], own: hdc.Memory, cohorts: Sequence[Cohort]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a contribution of cohorts, at least one.

    batches: returns all facts.  own: their sums.  Cost: a pass over the facts, one projection for
    each that is not published, and that of a calibration.
    """
    geometry = own.geometry
    ids = {one for cohort in cohorts for one in cohort.ids}
    sampled = _sample(cohorts)
    memory, moments = own.copy(), Moments(geometry.slices[0][1])
    coded: list[Coded] = []
    for batch in batches():
        for (domain, label), rows in _split(batch, lambda one: one not in ids):
            for codes in _project(geometry, rows):
                memory.remove(domain, label, codes)
        for concept, rows in _split(batch, ids.__contains__):
            moments.change(concept, rows, 1)
        for (domain, label), rows in _split(batch, sampled.__contains__):
            coded += [(domain, label, codes) for codes in _project(geometry, rows)]
    return pack_sums(
        memory, hdc.calibrate(memory, coded, exemplars=False, aggregated=True), moments
    )


def _sample(cohorts: Sequence[Cohort]) -> set[str]:
    """Return the ids of the facts that set the thresholds: whole cohorts of each domain, so that
    two samples differ by whole cohorts."""
    left: dict[str, int] = {}
    chosen: set[str] = set()
    for cohort in sorted(cohorts, key=_rank):
        domain = cohort.concept[0]
        room = left.setdefault(domain, limits.CALIBRATION_FACTS_MAX)
        if len(cohort.ids) <= room:
            chosen.update(cohort.ids)
            left[domain] -= len(cohort.ids)
    return chosen


def _rank(cohort: Cohort) -> Rank:
    return min(map(hash_rank, cohort.ids))


def _split(batch: FactBatch, takes: Callable[[str], bool]) -> Iterable[tuple[Concept, Rows]]:
    """Yield the features of the facts whose id is taken, by concept."""
    groups: dict[Concept, list[int]] = {}
    for row, one in enumerate(batch.ids):
        if takes(one):
            groups.setdefault((batch.domains[row], batch.labels[row]), []).append(row)
    for concept, places in sorted(groups.items()):
        yield concept, batch.features[places]


def _project(geometry: hdc.Geometry, rows: Rows) -> Iterable[hdc.Codes]:
    for at in range(0, len(rows), CODED_ROWS):
        yield geometry.project(rows[at : at + CODED_ROWS])
