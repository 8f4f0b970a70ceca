"""River's interfaces on Auricle's parts: classes that learn one sample at a time (extra `river`).

`Classifier().learn_one(x, y)`: x is a dictionary of numbers, whose keys may come and go.  All
classes pass River's own checks (`river.checks.check_estimator`).
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .anomaly_detector import AnomalyDetector
    from .classifier import Classifier
    from .drift_detector import DriftDetector
    from .series_forecaster import Forecaster
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "anomaly_detector": ("AnomalyDetector",),
            "classifier": ("Classifier",),
            "drift_detector": ("DriftDetector",),
            "series_forecaster": ("Forecaster",),
        },
    )

__all__ = ["AnomalyDetector", "Classifier", "DriftDetector", "Forecaster"]
