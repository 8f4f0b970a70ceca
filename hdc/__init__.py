"""Features to hypervectors to verdicts: exact hyperdimensional memory and calibrated novelty."""

from .calibration import (
    CENTRE_PRIOR,
    ONE,
    SPREAD_PRIOR,
    Calibration,
    calibrate,
    unite,
    withheld,
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
from .fitting import survey
from .geometry import Geometry, plain
from .kinds import KINDS, Kind
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
    "DimensionError",
    "FormatError",
    "Geometry",
    "HdcError",
    "Kind",
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
    "novelty",
    "permute",
    "plain",
    "random_vectors",
    "similarity",
    "survey",
    "unite",
    "withheld",
]
