"""Hyperdimensional computing: exact class prototypes and calibrated novelty detection."""

from .calibration import (
    CENTRE_PRIOR,
    SPREAD_PRIOR,
    Calibration,
    calibrate,
    empty_exemplars,
    merge_calibrations,
)
from .detector import (
    Comparison,
    NotAttainable,
    Verdict,
    WindowVerdict,
    compare,
    decide,
    detect,
    detect_each,
    detect_window,
    novelty,
)
from .errors import ConceptError, DimensionError, FormatError, HdcError
from .fitting import fit_geometry
from .geometry import (
    Codes,
    Geometry,
    bind,
    bundle,
    identity_geometry,
    permute,
    random_vectors,
    similarity,
)
from .integers import ONE
from .kinds import KINDS, DetectorKind
from .memory import Memory

__all__ = [
    "CENTRE_PRIOR",
    "KINDS",
    "ONE",
    "SPREAD_PRIOR",
    "Calibration",
    "Codes",
    "Comparison",
    "ConceptError",
    "DetectorKind",
    "DimensionError",
    "FormatError",
    "Geometry",
    "HdcError",
    "Memory",
    "NotAttainable",
    "Verdict",
    "WindowVerdict",
    "bind",
    "bundle",
    "calibrate",
    "compare",
    "decide",
    "detect",
    "detect_each",
    "detect_window",
    "empty_exemplars",
    "fit_geometry",
    "identity_geometry",
    "merge_calibrations",
    "novelty",
    "permute",
    "random_vectors",
    "similarity",
]
