"""Change point detectors for time series: which channels moved, since when, by how much.

`DETECTORS["joint"](30)` makes one.  To add a kind: one file with one class, and one line in
`kinds.DETECTORS`.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .detector import ChangeDetector, DetectedChange
    from .kinds import DETECTORS, default_detector
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "detector": ("ChangeDetector", "DetectedChange"),
            "kinds": ("DETECTORS", "default_detector"),
        },
    )

__all__ = ["DETECTORS", "ChangeDetector", "DetectedChange", "default_detector"]
