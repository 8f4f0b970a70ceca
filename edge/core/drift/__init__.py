"""Detectors of changes in numeric streams: what moved, since when, how far, back to which state.

`DETECTORS["joint"](30)` makes one.  To add a kind: one file with one class, and one line in
`kinds.DETECTORS`.
"""

from .detector import Change, ChangeDetector
from .kinds import DETECTORS, default_detector

__all__ = ["DETECTORS", "Change", "ChangeDetector", "default_detector"]
