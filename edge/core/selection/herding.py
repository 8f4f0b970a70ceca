"""Herding: the facts whose mean stays closest to that of all."""

import numpy as np

from .pool import FactPool, Rows


def herding(pool: FactPool, count: int) -> Rows:
    """Keep the exemplars of iCaRL (Rebuffi et al. 2017, "iCaRL: incremental classifier and
    representation learning", algorithm 4; herding after Welling 2009): one after the other, the
    fact that brings the mean of the chosen ones closest to the mean of the pool.

    Of n facts with sum S and k - 1 chosen ones with sum P, the next one x minimises
    |S / n - (P + x) / k|, and so the whole number n |x|^2 - 2 (k S - n P) x.
    """
    total, products = len(pool), pool.products
    squares, to_all = np.diagonal(products), products.sum(axis=0)
    to_chosen = np.zeros_like(to_all)
    free = np.ones(total, np.bool_)
    for number in range(1, count + 1):
        costs = total * squares - 2 * (number * to_all - total * to_chosen)
        taken = pool.first(costs, np.flatnonzero(free))
        free[taken] = False
        to_chosen += products[taken]
    return np.flatnonzero(~free)
