"""Calibrated p-values of single samples: the share of a normal series that reaches a score."""

from bisect import bisect_right
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Scores at which samples are counted: a tenth apart, up to 1e9.  Chosen by hand.
_EDGES: Final[list[float]] = (0.1 * 1.1 ** np.arange(243)).tolist()
# Scores, and log10 of the share of samples that reach them: measured on the parts of half of NAB
# without an anomaly (141,467 samples).  Of the other half 0 to 30 % fewer reach them.
_PRIOR: Final = np.array(
    [
        [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 1e3, 1e4, 1e6, 1e8, 1e9],
        [
            *(-0.56, -0.56, -0.81, -1.19, -1.55, -1.90, -2.21, -2.45, -2.72),
            *(-2.87, -3.02, -3.32, -3.59, -4.67),
        ],
    ]
)
# Samples that the development series count for.  At 10 % and 1 % the other half of NAB has 0.70 and
# 0.49 of the chosen share with 3,000, 0.72 and 0.75 with 30,000; independent noise 1.1 and 0.4, and
# 1.4 and 0.4.
_PRIOR_SAMPLES: Final = 3_000
# The same for several channels, whose joint shifts have other scores: independent noise on four has
# 0.86 of the chosen share at 10 % with 300, 1.3 times it with 3,000.
_PRIOR_SAMPLES_JOINT: Final = 300


class ScoreRanks:
    """Where a score ranks among the earlier samples of its series and those of development series.

    The p-value is the conformal one with a prior: (N q + n + 1) / (N + seen + 1), where n of the
    samples seen reached the score, and a share q of the development series, which count as N.
    """

    def __init__(self, channels: int) -> None:
        self._weight = _PRIOR_SAMPLES if channels == 1 else _PRIOR_SAMPLES_JOINT
        # Samples seen, then those that reached each edge.
        self.counts = np.zeros(1 + len(_EDGES))
        shares = 10.0 ** np.interp(np.log(_EDGES), np.log(_PRIOR[0]), _PRIOR[1])
        self._expected: list[float] = (self._weight * shares).tolist()

    def step(self, score: float) -> float:
        """Return the p-value of a score, then count it; 1 below 0.1."""
        reached = bisect_right(_EDGES, score)
        p_value = self.p_value(reached) if reached else 1.0
        self.counts[: reached + 1] += 1.0
        return p_value

    def p_value(self, reached: int) -> float:
        """Return the p-value at the highest edge that a score reaches, so that it is not too low;
        reached: edges that it reaches, 1 or more."""
        seen, others = self.counts.item(0), self.counts.item(reached)
        return (self._expected[reached - 1] + others + 1.0) / (self._weight + seen + 1.0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that hold everything learned, themselves."""
        return {"counts": self.counts}
