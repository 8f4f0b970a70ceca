"""Everything derived from the ledger of facts: sums, moments, thresholds, cached heads."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .admission import admit
    from .cached_heads import HeadFit
    from .contributions import Concept, Contribution, find_invalid_contribution, review_contribution
    from .knowledge import Knowledge, conflicting_contributions, derive_knowledge, fit_geometry

__all__ = [
    "Concept",
    "Contribution",
    "HeadFit",
    "Knowledge",
    "admit",
    "conflicting_contributions",
    "derive_knowledge",
    "find_invalid_contribution",
    "fit_geometry",
    "review_contribution",
]

__getattr__ = lazy_names(
    __name__,
    {
        "admission": ("admit",),
        "cached_heads": ("HeadFit",),
        "contributions": (
            "Concept",
            "Contribution",
            "find_invalid_contribution",
            "review_contribution",
        ),
        "knowledge": ("Knowledge", "conflicting_contributions", "derive_knowledge", "fit_geometry"),
    },
)
