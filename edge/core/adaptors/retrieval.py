"""Retrieve and revise: an unsure answer of a head is revised by the nearest facts of its domain.

After Adapt-Retrieve-Revise (Wan et al. 2024, abstract): a model adapted to the domain drafts an
answer, the draft retrieves evidence of the domain, and the evidence revises the draft.  Here the
head drafts, a draft with a small lead retrieves the most similar fact of every label, and their
similarities are added to its scores.  Measured: docs/explanation/answers.md.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..facts import FactBatch
from ..structs import FrozenStruct
from .losses import can_be_better, grade_scores, is_better
from .principal import principal_directions
from .weighting import lowest_hashes

Floats = NDArray[np.float32]

EVIDENCE_BYTES_MAX: Final = 1 << 19
"""Bytes of the facts that drafts are compared with, of one domain: 2,048 facts of 64 directions.
As many as the landmarks of a kernel that serves without growth; a retrieval then takes as long."""
DIRECTIONS_MAX: Final = 64
"""Principal directions that facts are compared in.  On PACS, 64, 128 and all 2,064 columns gained
0.8 to 1.0 points over the heads alone."""
UNSURE_SHARE: Final = 0.3
"""Share of left-out drafts, those with the smallest leads, that are revised.  On PACS nothing
changed when all were: what is sure stays as it is."""
STRENGTH: Final = 1.0
"""Score for each unit of similarity.  Of 1, 2 and 4, on PACS, 1 never lost on left-out facts where
it served."""
EVIDENCE_FACTS_MIN: Final = 64
"""Fewest facts of a domain that may serve as evidence.  Chosen by hand; effect not measured."""
LENGTH_MIN: Final = 1e-6
"""Shortest row that is divided by."""


class Evidence(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """The facts of a domain by which unsure drafts are revised.

    directions: float32 [out, k], and centre: [k], of the transformed features.  facts: float32
    [facts, k], unit rows, label by label.  starts: intp [labels], the first of each label's facts.
    lead: drafts with a smaller lead are revised.
    """

    directions: Floats
    centre: Floats
    facts: Floats
    starts: NDArray[np.intp]
    lead: float

    @property
    def nbytes(self) -> int:
        """Bytes of the facts and directions."""
        return int(
            self.directions.nbytes + self.centre.nbytes + self.facts.nbytes + self.starts.nbytes
        )

    @property
    def operations(self) -> int:
        """Multiply-adds of a revision."""
        return int(self.directions.size + self.facts.size)

    def revise(self, rows: Floats, scores: Floats) -> Floats:
        """Return scores float32 [..., labels] with those of unsure drafts revised.

        rows: transformed samples float32 [..., out].  Cost: nothing but the leads for a sure draft,
        else one product with the directions and one with the facts.
        """
        unsure = leads(scores) < self.lead
        # A single sample, the usual case, is not worth a mask.
        if scores.ndim == 1:
            return scores + support(self.similarities(rows[None]))[0] if unsure else scores
        made = scores.copy()
        made[unsure] += support(self.similarities(rows[unsure]))
        return made

    def similarities(self, rows: Floats) -> Floats:
        """Return the cosine of each transformed sample [n, out] and the most similar fact of each
        label: [n, labels]."""
        found = unit(rows @ self.directions - self.centre) @ self.facts.T
        return np.asarray(np.maximum.reduceat(found, self.starts, axis=1))


def better_evidence(
    own: FactBatch, rows: Floats, drafts: Floats, labels: tuple[str, ...]
) -> Evidence | None:
    """Return the evidence of a domain where it does better than the drafts on facts left out; None
    elsewhere, and where other domains know labels that this one has no facts of.

    own: facts of the domain.  rows: these transformed, float32 [n, out].  drafts: scores [judges,
    labels] of `lowest_hashes`, each from a head solved without it.  A fact that is judged is not
    its own evidence.  The result depends on the set of facts alone.  Cost: the directions of at
    most 768 facts, and the products of these with `EVIDENCE_BYTES_MAX` of facts.
    """
    judges = lowest_hashes(own)
    names = np.array(own.labels)
    shown = set(names[judges].tolist())
    if len(own) < EVIDENCE_FACTS_MIN or len(labels) < 2 or shown != set(labels):
        return None
    targets = np.searchsorted(np.array(labels), names[judges])
    before = grade_scores(drafts, targets)
    if not can_be_better(before):
        return None
    directions = principal_directions(rows[judges], DIRECTIONS_MAX)
    chosen = lowest_hashes(own, EVIDENCE_BYTES_MAX // (4 * directions.shape[1]))
    order = chosen[np.argsort(names[chosen], kind="stable")]
    centre = (rows[judges].mean(axis=0, dtype=np.float64) @ directions).astype(np.float32)
    made = Evidence(
        directions=directions,
        centre=centre,
        facts=unit(rows[order] @ directions - centre),
        starts=np.searchsorted(names[order], np.array(labels)),
        lead=float(np.quantile(leads(drafts), UNSURE_SHARE)),
    )
    revised = _left_out(made, rows[judges], np.equal.outer(judges, order), drafts)
    better = is_better(grade_scores(revised, targets), before)
    return made if better else None


def _left_out(evidence: Evidence, rows: Floats, same: NDArray[np.bool_], drafts: Floats) -> Floats:
    """Return revised drafts [n, labels] of facts, transformed rows [n, out], each without itself
    as evidence.  same: bool [n, facts]."""
    found = unit(rows @ evidence.directions - evidence.centre) @ evidence.facts.T
    found[same] = -1.0
    added = support(np.maximum.reduceat(found, evidence.starts, axis=1))
    unsure = leads(drafts) < evidence.lead
    return np.asarray(np.where(unsure[:, None], drafts + added, drafts))


def support(similarities: Floats) -> Floats:
    """Return what similarities [n, labels] add to scores: nothing for the most similar label, less
    for the others."""
    best = similarities.max(axis=1, keepdims=True)
    return np.asarray(np.float32(STRENGTH) * (similarities - best))


def leads(scores: Floats) -> Floats:
    """Return the lead of the best of scores [..., labels] over the second: [...]."""
    best = np.partition(scores, -2, axis=-1)[..., -2:]
    return np.asarray(best[..., 1] - best[..., 0])


def unit(rows: Floats) -> Floats:
    """Return rows [..., k] of length 1."""
    lengths = np.sqrt(np.vecdot(rows, rows))[..., None]
    return np.asarray(rows / np.maximum(lengths, np.float32(LENGTH_MIN)))
