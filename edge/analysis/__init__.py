"""Analyses of the knowledge of a home, in their own process: suspicious labels, typical examples,
groups of similar observations, and whether enough is labelled.

The process starts with the first question and ends after an idle minute.  It opens the knowledge
file for reading at each question, closes it before it computes, and loads no torch.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .client import AnalysisClient, ask_analysis
    from .enough import expected_gain
    from .learned import Domain, Learned, read_learned, standardised
    from .learning_curve import GAIN_LABELS, PENALTY, left_out_errors
    from .named_mistakes import find_alike
    from .suspicious import SuspiciousLabel, find_suspicious
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "client": ("AnalysisClient", "ask_analysis"),
            "enough": ("expected_gain",),
            "learned": ("Domain", "Learned", "read_learned", "standardised"),
            "learning_curve": ("GAIN_LABELS", "PENALTY", "left_out_errors"),
            "named_mistakes": ("find_alike",),
            "suspicious": ("SuspiciousLabel", "find_suspicious"),
        },
    )

__all__ = [
    "GAIN_LABELS",
    "PENALTY",
    "AnalysisClient",
    "Domain",
    "Learned",
    "SuspiciousLabel",
    "ask_analysis",
    "expected_gain",
    "find_alike",
    "find_suspicious",
    "left_out_errors",
    "read_learned",
    "standardised",
]
