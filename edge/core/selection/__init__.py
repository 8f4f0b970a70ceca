"""Which facts a full concept keeps.

Theory of operation.  A concept holds a bounded number of facts.  When more are learned, a selector
chooses those that stay; the others are evicted, which is recorded as ever.  The choice is a
function of the facts at hand alone, in whole numbers, so that every machine chooses the same.
Selectors that rank facts by a key of their own choose the same in any order of arrival.  Those that
compare facts with each other cannot take into account what left before.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .kinds import NEWEST, RANDOM, SELECTORS, FactSelector, keep_rows, rank_ids, selected_rows
    from .pool import FactPool
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "kinds": (
                "FactSelector",
                "NEWEST",
                "RANDOM",
                "SELECTORS",
                "keep_rows",
                "rank_ids",
                "selected_rows",
            ),
            "pool": ("FactPool",),
        },
    )

__all__ = [
    "NEWEST",
    "RANDOM",
    "SELECTORS",
    "FactPool",
    "FactSelector",
    "keep_rows",
    "rank_ids",
    "selected_rows",
]
