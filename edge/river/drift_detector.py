"""A River drift detector: Bayesian segmentation of the recent past of one number."""

import numpy as np
from river import base

from ..core.drift import DETECTORS, DetectedChange, default_detector


class DriftDetector(base.DriftDetector, base.Estimator):
    """Detects level changes of a stream of numbers, such as a model's errors or losses.

    It compares one segment with two over the recent past, and reports a change once two explain it
    better; see `edge.core.drift.segments`.  Values that are not finite are missing.  River's checks
    require that it is an `Estimator`, too.

    """

    def __init__(self) -> None:
        super().__init__()
        self._detector = DETECTORS[default_detector(1)](1)
        self._change: DetectedChange | None = None

    @property
    def change(self) -> DetectedChange | None:
        """The newest change: its start, size and kind; None before the first."""
        return self._change

    def update(self, x: float) -> None:
        """Update with one number, and set `drift_detected` if it reveals a change."""
        found = self._detector.step(np.array([x], np.float64))
        self._drift_detected = bool(found)
        if found:
            self._change = found[-1]
