"""The sets on which labelling rules and predicted gains are measured.

`DEVELOPED` names the sets that the learned rule was trained on, or that the prior of the gains was
chosen on; no summary counts them.  Features are quantised as the product does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from encoder import freeze_quantiser

from ..ood.sets import MissingError, package_folder

PACS: Final = "pacs_efficientnet_lite0.npz"
CIFAR: Final = "cifar10_subset_efficientnet_lite0.npz"
SKAB: Final = "skab.npz"
DOMAINS: Final = ("photo", "art", "cartoon", "sketch")
SUPPORTED: Final = 512
"""Facts of other domains: as many as labels_active had before.  Chosen by hand."""
WINDOW: Final = 20
"""Samples of a window of SKAB: twenty seconds.  Chosen by hand; effect not measured."""

Levels = NDArray[np.uint8]
Names = NDArray[np.str_]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LabelSet:
    """One domain's rows, and those of known domains as support.

    levels: uint8 [n, width].  label: [n].  support: levels, labels and domains of the known ones.
    apart: rows that only serve as test rows, or None.
    """

    name: str
    levels: Levels = field(repr=False)
    label: Names = field(repr=False)
    support: tuple[Levels, Names, Names] | None = None
    apart: NDArray[np.bool_] | None = None

    def split(self, random: np.random.Generator, pool: int, test: int) -> tuple[Rows, Rows]:
        """Return row numbers of a pool and of test rows, at most so many each."""
        order = random.permutation(len(self.label))
        if self.apart is None:
            pool = min(pool, len(order) // 2)
            return order[:pool], order[pool : pool + test]
        return order[~self.apart[order]][:pool], order[self.apart[order]][:test]


def load_set(name: str, data: Path | None) -> LabelSet:
    """Load a set by name; raises MissingError without its file or package."""
    return SETS[name](data)


@cache
def _pacs(data: Path) -> tuple[Levels, Names, Names]:
    found = np.load(data / PACS)
    held = found["split"] == 1
    values = found["features"].astype(np.float32)
    quantiser = freeze_quantiser(values[~held][::10], (slice(0, values.shape[1]),))
    label = found["label"].astype(np.int64).astype(str)
    return quantiser.quantise(values), label, np.array(DOMAINS)[found["domain"]]


def _domain(new: str, known: tuple[str, ...] = ()) -> Callable[[Path | None], LabelSet]:
    def load(data: Path | None) -> LabelSet:
        _require(data, PACS)
        levels, label, domain = _pacs(data)
        own = domain == new
        support = None
        if known:
            at = np.flatnonzero(np.isin(domain, known))
            at = np.sort(np.random.default_rng(0).permutation(at)[:SUPPORTED])
            support = levels[at], label[at], domain[at]
        name = f"{new} after {', '.join(known)}" if known else new
        return LabelSet(name=name, levels=levels[own], label=label[own], support=support)

    return load


def _cifar(data: Path | None) -> LabelSet:
    found = np.load(_require(data, CIFAR))
    values, label = found["features"].astype(np.float32), found["label"].astype(str)
    quantiser = freeze_quantiser(values[::10], (slice(0, values.shape[1]),))
    return LabelSet(name="cifar", levels=quantiser.quantise(values), label=label)


def _table(name: str, loader: str) -> Callable[[Path | None], LabelSet]:
    def load(_data: Path | None) -> LabelSet:
        package_folder("sklearn")
        from sklearn import datasets

        values, label = getattr(datasets, loader)(return_X_y=True)
        return LabelSet(name=name, levels=_levels(values), label=label.astype(str))

    return load


def _river(name: str, stream: str) -> Callable[[Path | None], LabelSet]:
    def load(_data: Path | None) -> LabelSet:
        package_folder("river")
        from river import datasets

        rows = list(getattr(datasets, stream)())
        values = np.array([[float(value) for value in row.values()] for row, _ in rows])
        return LabelSet(
            name=name, levels=_levels(values), label=np.array([str(y) for _, y in rows])
        )

    return load


def _skab(data: Path | None) -> LabelSet:
    """Windows of a water circuit: means and deviations of eight sensors; normal, or which part
    fails.  Every second recording is for testing."""
    found = np.load(_require(data, SKAB))
    parts = sorted(one[: -len("__anomaly")] for one in found.files if one.endswith("__anomaly"))
    rows, label, apart = [], [], []
    for number, part in enumerate(parts):
        values, wrong = found[f"{part}__v"], found[f"{part}__anomaly"]
        for start in range(0, len(values) - WINDOW, WINDOW):
            at = slice(start, start + WINDOW)
            if wrong[at].any() != wrong[at].all():
                continue
            rows.append(np.concatenate([values[at].mean(axis=0), values[at].std(axis=0)]))
            label.append(part.partition("__")[0] if wrong[at].all() else "normal")
            apart.append(number % 2 == 1)
    return LabelSet(
        name="skab", levels=_levels(np.array(rows)), label=np.array(label), apart=np.array(apart)
    )


def _levels(values: NDArray[np.floating]) -> Levels:
    """Return measurements as levels, each column on a scale of its own."""
    rows = np.asarray(values, np.float32)
    columns = [slice(at, at + 1) for at in range(rows.shape[1])]
    return freeze_quantiser(rows, columns, "channel").quantise(rows)


def _require(data: Path | None, name: str) -> Path:
    if data is None or not (data / name).is_file():
        raise MissingError(f"no {name} (name its folder by --data or AURICLE_DATA)")
    return data / name


SETS: Final[Mapping[str, Callable[[Path | None], LabelSet]]] = {
    "digits": _table("digits", "load_digits"),
    "breast cancer": _table("breast cancer", "load_breast_cancer"),
    "photo": _domain("photo"),
    "art": _domain("art"),
    "photo after art": _domain("photo", ("art",)),
    "art after photo": _domain("art", ("photo",)),
    "cartoon": _domain("cartoon"),
    "sketch": _domain("sketch"),
    "cartoon after photo, art": _domain("cartoon", ("photo", "art")),
    "sketch after photo, art": _domain("sketch", ("photo", "art")),
    "cifar": _cifar,
    "wine": _table("wine", "load_wine"),
    "segments": _river("segments", "ImageSegments"),
    "phishing": _river("phishing", "Phishing"),
    "bananas": _river("bananas", "Bananas"),
    "skab": _skab,
}
"""Each set by name."""

DEVELOPED: Final = (
    "digits",
    "breast cancer",
    "photo",
    "art",
    "photo after art",
    "art after photo",
)
"""Sets that choices were made on."""
