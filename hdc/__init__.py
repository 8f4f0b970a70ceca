"""Hyperdimensional computing: exact class prototypes and calibrated novelty detection."""

from .blocks import Plane
from .calibration import Calibration, calibrate, empty_exemplars, merge_calibrations
from .detector import (
    Comparison,
    LevelOf,
    NotAttainable,
    Verdict,
    WindowVerdict,
    at_level,
    compare,
    decide,
    detect,
    detect_each,
    detect_window,
    examine,
    find_shortfall,
    known_limit,
    novelty,
)
from .errors import ConceptError, DimensionError, FormatError, HdcError
from .fitting import fit_geometry
from .forward import forward_posterior, likeliest
from .geometry import (
    GEOMETRY_VERSION,
    Codes,
    Geometry,
    bind,
    bundle,
    identity_geometry,
    permute,
    random_vectors,
    similarity,
)
from .integers import ONE, log_table
from .kinds import KINDS, DetectorKind
from .label_counts import LabelCounts
from .memory import Memory, Residuals
from .native import (
    PRODUCT_WIDTH_MAX,
    WHOLE_MAX,
    is_native,
    landmark_distances,
    linear_scores,
    native_path,
)
from .neighbours import Exemplars
from .normal import normal_quantile
from .series import follow_windows
from .shrinkage import CENTRE_PRIOR, SPREAD_PRIOR
from .spread import terms_of
from .switches import LEAD, SwitchStatistics, window_limit
from .time_blocks import BLOCKS, TimeOrder, order_in_time
from .time_statistics import (
    FLOOR_SHARE,
    WINDOW,
    Level,
    TimeStatistics,
    variance_of_windows,
)
from .votes import decisive, gather, leader, prefer, slide

__all__ = [
    "BLOCKS",
    "CENTRE_PRIOR",
    "FLOOR_SHARE",
    "GEOMETRY_VERSION",
    "KINDS",
    "LEAD",
    "ONE",
    "PRODUCT_WIDTH_MAX",
    "SPREAD_PRIOR",
    "WHOLE_MAX",
    "WINDOW",
    "Calibration",
    "Codes",
    "Comparison",
    "ConceptError",
    "DetectorKind",
    "DimensionError",
    "Exemplars",
    "FormatError",
    "Geometry",
    "HdcError",
    "LabelCounts",
    "Level",
    "LevelOf",
    "Memory",
    "NotAttainable",
    "Plane",
    "Residuals",
    "SwitchStatistics",
    "TimeOrder",
    "TimeStatistics",
    "Verdict",
    "WindowVerdict",
    "at_level",
    "bind",
    "bundle",
    "calibrate",
    "compare",
    "decide",
    "decisive",
    "detect",
    "detect_each",
    "detect_window",
    "empty_exemplars",
    "examine",
    "find_shortfall",
    "fit_geometry",
    "follow_windows",
    "forward_posterior",
    "gather",
    "identity_geometry",
    "is_native",
    "known_limit",
    "landmark_distances",
    "leader",
    "likeliest",
    "linear_scores",
    "log_table",
    "merge_calibrations",
    "native_path",
    "normal_quantile",
    "novelty",
    "order_in_time",
    "permute",
    "prefer",
    "random_vectors",
    "similarity",
    "slide",
    "terms_of",
    "variance_of_windows",
    "window_limit",
]
