"""How unusual is a measure against its own recent past: the likelihood stage."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .scorer import Floats

MEAN_STEPS: Final = 10
"""Samples whose mean is judged: the stage of Numenta's anomaly likelihood (Ahmad et al. 2017,
section 3.2).  On NAB 5 and 7 change the score by 0.2, 14 costs 1.3 points."""
# Share of the past, the newest, that counts as normal.  On NAB half of it costs 3 points and all of
# it 7.
_RECENT_SHARE: Final = 0.6
BLOCKS_MAX: Final = 128
"""Blocks of the past.  When all are full, pairs of them merge.  Chosen by hand."""
# Longest block, so that the past has 16,384 samples at most.  Chosen by hand; on NAB 5,000 give the
# same score.
_BLOCK_STEPS_MAX: Final = 128
# Samples between two updates of mean and deviation.  Taken from the study of recipes on NAB.
_REFRESH_STEPS: Final = 25
# Samples before the first judgement.  Chosen by hand; effect not measured.
_FIRST_STEPS: Final = 100
# Least deviation of a measure: below it differences are rounding errors.
_DEVIATION_MIN: Final = 1e-6


class RunningSurprise:
    """Standard deviations by which the short means of measures [K] exceed those of their past.

    The past is a list of blocks with count, sum and sum of squares.  Merging pairs of blocks bounds
    it, as in exponential histograms (Datar et al. 2002), and the newest 60 % of it count.
    """

    def __init__(self, measures: int) -> None:
        self.recent = np.zeros((MEAN_STEPS, measures))
        self.blocks = np.zeros((BLOCKS_MAX, 2, measures))
        # Samples seen, blocks in use, samples in a full block, samples in the last block.
        self.counts: NDArray[np.int64] = np.array([0, 0, 1, 0])
        self.centre, self.spread = np.zeros(measures), np.full(measures, np.inf)

    def step(self, measures: Floats) -> Floats:
        """Judge measures [K] by the past, then learn them; zeros during the warm-up."""
        seen = int(self.counts[0])
        self.recent[seen % MEAN_STEPS] = measures
        means = np.add.reduce(self.recent, 0)
        means *= 1.0 / min(seen + 1, MEAN_STEPS)
        if seen >= _FIRST_STEPS and (seen - _FIRST_STEPS) % _REFRESH_STEPS == 0:
            self._refresh()
        surprise: Floats = (means - self.centre) / self.spread
        self._learn(means)
        return surprise

    def _learn(self, means: Floats) -> None:
        seen, used, length, filled = self.counts.tolist()
        if used == 0 or filled == length:
            if used == BLOCKS_MAX:
                used, length = self._make_room(length)
            self.blocks[used] = 0.0
            used, filled = used + 1, 0
        self.blocks[used - 1, 0] += means
        self.blocks[used - 1, 1] += means * means
        self.counts[:] = seen + 1, used, length, filled + 1

    def _make_room(self, length: int) -> tuple[int, int]:
        """Merge pairs of blocks, or drop the oldest of the longest ones; return how many are used
        and their length."""
        if length < _BLOCK_STEPS_MAX:
            self.blocks[: BLOCKS_MAX // 2] = self.blocks[::2] + self.blocks[1::2]
            return BLOCKS_MAX // 2, 2 * length
        self.blocks[:-1] = self.blocks[1:].copy()
        return BLOCKS_MAX - 1, length

    def _refresh(self) -> None:
        _, used, length, filled = self.counts.tolist()
        held = (used - 1) * length + filled
        first = int(held * (1.0 - _RECENT_SHARE)) // length
        count = held - first * length
        sums = self.blocks[first:used].sum(axis=0)
        self.centre[:] = sums[0] / count
        variance = np.maximum(sums[1] / count - self.centre**2, 0.0)
        self.spread[:] = np.maximum(np.sqrt(variance), _DEVIATION_MIN)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that hold everything learned, themselves."""
        return {
            "recent": self.recent,
            "blocks": self.blocks,
            "counts": self.counts,
            "centre": self.centre,
            "spread": self.spread,
        }


def normal_tail(deviations: float) -> float:
    """Return -log10 of the upper tail of the normal distribution, exact to 1e-3 everywhere."""
    if deviations <= 0.0:
        return 0.0
    if deviations < 25.0:
        return -math.log10(math.erfc(deviations / math.sqrt(2.0)) / 2.0)
    log = deviations**2 / 2.0 + math.log(deviations * math.sqrt(2.0 * math.pi))
    return log / math.log(10.0)
