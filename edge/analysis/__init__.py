"""Analyses of the knowledge of a home, in their own process: suspicious labels, typical examples,
groups of similar observations, and whether enough is labelled.

The process starts with the first question and ends after an idle minute.  It opens the knowledge
file for reading at each question, closes it before it computes, and loads no torch.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .client import AnalysisClient, ask_analysis
    from .learned import Domain, Learned, read_learned, standardised
    from .named_mistakes import find_alike
    from .suspicious import PENALTY, SuspiciousLabel, find_suspicious
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "client": ("AnalysisClient", "ask_analysis"),
            "learned": ("Domain", "Learned", "read_learned", "standardised"),
            "named_mistakes": ("find_alike",),
            "suspicious": ("PENALTY", "SuspiciousLabel", "find_suspicious"),
        },
    )

__all__ = [
    "PENALTY",
    "AnalysisClient",
    "Domain",
    "Learned",
    "SuspiciousLabel",
    "ask_analysis",
    "find_alike",
    "find_suspicious",
    "read_learned",
    "standardised",
]
