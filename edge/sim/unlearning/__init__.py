"""Published methods of unlearning beside exact unlearning: the table, requests and measures.

For comparison only: nothing here serves, and nothing writes a knowledge file.  Loads torch.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .forget_sets import UnlearningSet, make_requests, standardise_columns
    from .kinds import UNLEARNERS
    from .measures import area_under_curve
    from .scenario_rows import cut_series
    from .summary import (
        POISON,
        MethodLine,
        UnlearningReport,
        best_peer,
        compare_unlearners,
        peers_of,
        summarise_methods,
    )
    from .trial import FLOOR, KNOWN_PART, UnlearningOutcome, run_unlearning
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "forget_sets": ("UnlearningSet", "make_requests", "standardise_columns"),
            "kinds": ("UNLEARNERS",),
            "measures": ("area_under_curve",),
            "scenario_rows": ("cut_series",),
            "summary": (
                "MethodLine",
                "POISON",
                "UnlearningReport",
                "best_peer",
                "compare_unlearners",
                "peers_of",
                "summarise_methods",
            ),
            "trial": ("FLOOR", "KNOWN_PART", "UnlearningOutcome", "run_unlearning"),
        },
    )

__all__ = [
    "FLOOR",
    "KNOWN_PART",
    "POISON",
    "UNLEARNERS",
    "MethodLine",
    "UnlearningOutcome",
    "UnlearningReport",
    "UnlearningSet",
    "area_under_curve",
    "best_peer",
    "compare_unlearners",
    "cut_series",
    "make_requests",
    "peers_of",
    "run_unlearning",
    "standardise_columns",
    "summarise_methods",
]
