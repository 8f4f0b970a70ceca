"""Everything derived from the ledger of facts: sums, moments, thresholds, cached heads."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .contributions import Concept, Contribution, find_invalid_contribution, review_contribution
    from .knowledge import (
        HeadFit,
        Knowledge,
        conflicting_contributions,
        derive_knowledge,
        fit_geometry,
    )
    from .relearning import relearn_backwards
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
                "HeadFit",
                "Knowledge",
                "conflicting_contributions",
                "derive_knowledge",
                "fit_geometry",
            ),
            "relearning": ("relearn_backwards",),
        },
    )

__all__ = [
    "Concept",
    "Contribution",
    "HeadFit",
    "Knowledge",
    "conflicting_contributions",
    "derive_knowledge",
    "find_invalid_contribution",
    "fit_geometry",
    "relearn_backwards",
    "review_contribution",
]
