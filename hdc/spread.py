"""How samples lie around the means of their nearest concepts: the sums from which it follows
whether their own mean has moved.

Residuals are whole numbers, and so are their inner products, whose sums are exact in any order
below 2^53.  What is divided is summed in a fixed order, so that C finds the same numbers, to the
bit.
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

TERMS = 5  # of `terms_of`; SPREAD_TERMS in level.h


def terms_of(products: Reals) -> Reals:
    """Return, for each block, what the inner products [blocks, n, n] of consecutive rows amount to:
    float64 [blocks, 5].

    The sums of their squared lengths and of all products; and, of the rows less their mean, the sum
    of the squared lengths, of the products of neighbours, and of the squared products of two
    different rows.
    """
    count = products.shape[1]
    trace = products.diagonal(axis1=1, axis2=2).sum(axis=1)
    sums = products.sum(axis=2)
    every = sums.sum(axis=1)
    means = sums / count
    centred = products - means[:, None]
    centred -= (means - (every / count / count)[:, None])[:, :, None]
    own = centred.diagonal(axis1=1, axis2=2)
    squares = in_order(np.square(centred.reshape(len(centred), -1)))
    beside = in_order(centred.diagonal(1, axis1=1, axis2=2))
    crossed = squares - in_order(np.square(own))
    return np.stack([trace, every, in_order(own), beside, crossed], axis=1)


def in_order(rows: Reals) -> Reals:
    """Return the sums [n] of rows [n, k], added from the first number to the last."""
    if not rows.shape[1]:
        return np.zeros(len(rows))
    return np.asarray(np.add.accumulate(rows, axis=1)[:, -1])
