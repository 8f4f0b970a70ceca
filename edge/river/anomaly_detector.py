"""A River anomaly detector: the Mahalanobis distance of a sample to the earlier ones."""

from collections.abc import Hashable, Mapping
from typing import Any

from river import base

from .fact_memory import FactMemory

_NORMAL = 0  # the number of the only class


class AnomalyDetector(base.AnomalyDetector):
    """Scores dictionaries of numbers: 0 for the mean of the earlier samples, towards 1 far from it.

    The score is d / (d + n), where d is the squared Mahalanobis distance to the mean of the newest
    samples and n the number of features: about 0.5 for a usual sample (Mahalanobis 1936; the
    covariance is solved from exact integer sums, from which old samples are subtracted).  Features
    may appear and disappear: a missing one is replaced by the mean of its column.  Nothing is
    random.

    Parameters
    ----------
    facts
        The newest samples that a sample is compared with.

    """

    def __init__(self, facts: int = 1_000) -> None:
        if facts < 1:
            raise ValueError(f"making a detector: expected facts of 1 or more, found {facts}")
        self.facts = facts
        self.memory = FactMemory(facts)

    def learn_one(self, x: Mapping[Hashable, Any]) -> None:
        """Learn a sample.  Raises ValueError for a value that is no number."""
        self.memory.learn(x, _NORMAL)

    def score_one(self, x: Mapping[Hashable, Any], **_kwargs: Any) -> float:
        """Return the score of a sample, 0 to 1; 0 before the first sample and without features."""
        if not len(self.memory):
            return 0.0
        levels = self.memory.levels(x)
        if not len(levels):
            return 0.0
        apart = self.memory.apart(levels, _NORMAL)
        return apart / (apart + len(levels))
