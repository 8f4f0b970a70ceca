"""Everything derived from the ledger of facts: sums, moments, thresholds, cached heads."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .contributions import Concept, Contribution, find_invalid_contribution, review_contribution
    from .knowledge import (
        Knowledge,
        conflicting_contributions,
        derive_knowledge,
        fit_geometry,
    )
    from .refits import HeadRefit, Refit, ThresholdsRefit
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "contributions": (
                "Concept",
                "Contribution",
                "find_invalid_contribution",
                "review_contribution",
            ),
            "knowledge": (
                "Knowledge",
                "conflicting_contributions",
                "derive_knowledge",
                "fit_geometry",
            ),
            "refits": ("HeadRefit", "Refit", "ThresholdsRefit"),
        },
    )

__all__ = [
    "Concept",
    "Contribution",
    "HeadRefit",
    "Knowledge",
    "Refit",
    "ThresholdsRefit",
    "conflicting_contributions",
    "derive_knowledge",
    "find_invalid_contribution",
    "fit_geometry",
    "review_contribution",
]
