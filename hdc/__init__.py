"""Features to hypervectors to verdicts: exact hyperdimensional memory and calibrated novelty."""

from .calibration import (
    CENTRE_PRIOR,
    ONE,
    SPREAD_PRIOR,
    Calibration,
    calibrate,
    held_out_scores,
    merge_calibrations,
)
from .codes import Codes
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
from .geometry import Geometry, identity_geometry
from .kinds import KINDS, DetectorKind
from .memory import Memory
from .vectors import bind, bundle, permute, random_vectors, similarity

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
    "fit_geometry",
    "held_out_scores",
    "identity_geometry",
    "merge_calibrations",
    "novelty",
    "permute",
    "random_vectors",
    "similarity",
]
