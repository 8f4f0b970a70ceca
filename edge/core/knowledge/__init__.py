"""Everything derived from the ledger of facts: sums, moments, thresholds, cached heads."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .cohorts import NOTHING_PUBLISHED, CohortPlan, Published, digest_content
    from .contribution_review import review_contribution
    from .contributions import (
        Concept,
        Contribution,
        Publication,
        conflicting_contributions,
        find_invalid_contribution,
        shrink_sums,
    )
    from .derive import derive_knowledge
    from .digest import DigestInputs, DigestRefit
    from .geometry_fit import GeometryFitter, fit_geometry
    from .geometry_refit import GeometryRefit
    from .knowledge import WAITING_FACTS_MIN, Knowledge
    from .moments import Moments, NearestConceptAnswer, PooledAnswers, PooledDiscriminant
    from .refits import Changes, HeadRefit, Refit, ThresholdsRefit, training_facts
    from .relearning import relearn_backwards
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "cohorts": ("CohortPlan", "NOTHING_PUBLISHED", "Published", "digest_content"),
            "contribution_review": ("review_contribution",),
            "contributions": (
                "Concept",
                "Contribution",
                "Publication",
                "conflicting_contributions",
                "find_invalid_contribution",
                "shrink_sums",
            ),
            "derive": ("derive_knowledge",),
            "digest": ("DigestInputs", "DigestRefit"),
            "geometry_fit": ("GeometryFitter", "fit_geometry"),
            "geometry_refit": ("GeometryRefit",),
            "knowledge": ("Knowledge", "WAITING_FACTS_MIN"),
            "moments": ("Moments", "NearestConceptAnswer", "PooledAnswers", "PooledDiscriminant"),
            "refits": ("Changes", "HeadRefit", "Refit", "ThresholdsRefit", "training_facts"),
            "relearning": ("relearn_backwards",),
        },
    )

__all__ = [
    "NOTHING_PUBLISHED",
    "WAITING_FACTS_MIN",
    "Changes",
    "CohortPlan",
    "Concept",
    "Contribution",
    "DigestInputs",
    "DigestRefit",
    "GeometryFitter",
    "GeometryRefit",
    "HeadRefit",
    "Knowledge",
    "Moments",
    "NearestConceptAnswer",
    "PooledAnswers",
    "PooledDiscriminant",
    "Publication",
    "Published",
    "Refit",
    "ThresholdsRefit",
    "conflicting_contributions",
    "derive_knowledge",
    "digest_content",
    "find_invalid_contribution",
    "fit_geometry",
    "relearn_backwards",
    "review_contribution",
    "shrink_sums",
    "training_facts",
]
