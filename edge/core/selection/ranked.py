"""Selectors that order facts by a key of their own: what stays is the same in any order of arrival,
and a fact that left would leave again."""

import numpy as np

from .pool import FactPool, Rows


def newest(pool: FactPool, count: int) -> Rows:
    """Keep the facts captured last."""
    return np.arange(len(pool) - count, len(pool))


def random(pool: FactPool, count: int) -> Rows:
    """Keep the facts whose ids hash lowest: a uniform sample of all that were ever learned.

    Bottom-k sampling (Cohen & Kaplan 2007, "Summarizing data using bottom-k sketches"), which, in
    contrast to a reservoir (Vitter 1985), needs no count of the facts seen.
    """
    return np.sort(np.argsort(pool.ranks, kind="stable")[:count])
