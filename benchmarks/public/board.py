"""Published figures of the three boards.  They are constants: nothing here was run by us."""

from collections.abc import Mapping
from typing import Final

NAB: Final[Mapping[str, tuple[float, float, float]]] = {
    "ARTime": (74.9, 65.2, 80.4),
    "Numenta HTM": (70.1, 63.1, 74.3),
    "CAD OSE": (69.9, 67.0, 73.2),
    "HTM Java": (65.5, 53.3, 70.4),
    "earthgecko Skyline": (58.2, 46.2, 63.8),
    "KNN-CAD": (58.0, 43.4, 64.8),
    "Relative entropy": (54.6, 47.6, 58.8),
    "Random cut forest": (51.7, 38.4, 59.7),
    "Twitter ADVec": (47.1, 33.6, 53.5),
    "Windowed Gaussian": (39.6, 20.9, 47.4),
    "Random": (16.8, 5.8, 25.9),
}
"""Standard, low-FP and low-FN score at each method's own optimum: results/final_results.json of
github.com/numenta/NAB at ea702d7."""

SKAB: Final[Mapping[str, tuple[float, float, float]]] = {
    "Conv-AE": (0.78, 0.136, 0.280),
    "MSET": (0.78, 0.397, 0.141),
    "T2+Q": (0.76, 0.266, 0.249),
    "LSTM-AE": (0.74, 0.300, 0.259),
    "T2": (0.66, 0.192, 0.426),
    "Isolation forest": (0.29, 0.026, 0.829),
}
"""F1, false-alarm rate, missed-alarm rate: README of github.com/waico/SKAB at b2c0d46."""

SKAB_CHANGE_POINTS: Final[Mapping[str, float]] = {
    "MSCRED": 32.4,
    "Isolation forest": 26.2,
    "T2+Q": 25.4,
    "Conv-AE": 23.6,
}
"""NAB score of change points, standard profile, 60 s: same README."""

TCPD: Final[Mapping[str, tuple[float, float]]] = {
    "binary segmentation": (0.690, 0.655),
    "PELT": (0.684, 0.656),
    "BOCPD": (0.656, 0.591),
    "at most one change": (0.647, 0.657),
    "never fires": (0.647, 0.557),
}
"""F1 and cover at default settings, mean over the 25 real series with one channel that all methods
judged and that are in the file of data: analysis/output/scores/default_f1_scores.json and
default_cover_scores.json of github.com/alan-turing-institute/TCPDBench at 6662025 and 97993b2 (van
den Burg and Williams 2020, arXiv 2003.06222, version 3).  These methods see the whole series."""
