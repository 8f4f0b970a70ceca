"""State of the current streams: assessments, domains, alarms, label buffer, label requests."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .assess import Assessor
    from .candidates import choose_candidates, score_candidates
    from .domain_filter import posterior
    from .explanation import Explanation, explain
    from .label_buffer import BufferedObservation
    from .prefetch import BatchPrefetch, FeatureModel

__all__ = [
    "Assessor",
    "BatchPrefetch",
    "BufferedObservation",
    "Explanation",
    "FeatureModel",
    "choose_candidates",
    "explain",
    "posterior",
    "score_candidates",
]

__getattr__ = lazy_names(
    __name__,
    {
        "assess": ("Assessor",),
        "candidates": ("choose_candidates", "score_candidates"),
        "domain_filter": ("posterior",),
        "explanation": ("Explanation", "explain"),
        "label_buffer": ("BufferedObservation",),
        "prefetch": ("BatchPrefetch", "FeatureModel"),
    },
)
