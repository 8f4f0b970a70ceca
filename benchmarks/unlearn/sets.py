"""The data of the comparison: features of PACS and CIFAR-10, and the demand of ELEC2."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from edge.sim.unlearning import UnlearningSet, cut_series, standardise_columns

from ..continual.data import CIFAR, PACS, ContinualSamples, load_cifar, load_pacs, missing

FACTS: Final = 1_200
"""Rows to learn, and as many held-out rows."""
FEW: Final = 480
"""The same where training or a second data set would take too long.  Chosen by hand."""
PACS_PARTS: Final = ((1, 500), (2, 500), (0, 200))
"""Domain and number of rows to learn: the small domain is the one that is forgotten whole."""
ELEC2: Final = "elec2.npz"
"""Half-hourly electricity demand of New South Wales."""
ELEC2_START: Final = 20_000
"""First half hour: later than the constant stretch at the start of the file."""
ELEC2_LENGTH: Final = 8_000
"""Half hours: 167 days."""


@dataclass(frozen=True, slots=True)
class ComparisonSet:
    """A set to compare on.  recipe: how networks are trained on it; seeds: of the trials; draw:
    from a seed to the rows; skipped: why it cannot be used, empty if it can."""

    name: str
    recipe: str
    seeds: tuple[int, ...]
    draw: Callable[[int], UnlearningSet] = field(repr=False)
    skipped: str = ""


def comparison_sets(data: Path | None) -> tuple[ComparisonSet, ...]:
    """Return all sets, with the reason for those whose data are missing."""
    folder = data or Path()
    pacs, cifar, elec2 = missing(data, *PACS), missing(data, CIFAR), missing(data, ELEC2)
    return (
        ComparisonSet("pacs", "growth", (1, 2), lambda seed: draw_pacs(folder, seed)[0], pacs),
        ComparisonSet(
            "learned by heart", "memorising", (1,), lambda s: draw_pacs(folder, s, FEW)[0], pacs
        ),
        ComparisonSet("cifar", "growth", (1,), lambda seed: _draw_cifar(folder, seed), cifar),
        ComparisonSet("elec2", "forecast", (1, 2), lambda _: _draw_elec2(folder), elec2),
    )


def draw_pacs(
    folder: Path, seed: int, facts: int = FACTS
) -> tuple[UnlearningSet, ContinualSamples, NDArray[np.intp]]:
    """Draw rows of three domains, and as many held-out ones; return them with the samples and the
    rows' numbers, those to learn first."""
    samples = load_pacs(folder)
    random = np.random.default_rng(seed)
    learned = np.concatenate(
        [
            random.choice(
                np.flatnonzero(samples.domain == domain), count * facts // FACTS, replace=False
            )
            for domain, count in PACS_PARTS
        ]
    )
    domains = [domain for domain, _ in PACS_PARTS]
    rest = np.setdiff1d(np.flatnonzero(np.isin(samples.domain, domains)), learned)
    at = np.concatenate([learned, random.choice(rest, facts, replace=False)])
    return _as_set("PACS", samples, at, len(learned)), samples, at


def _draw_cifar(folder: Path, seed: int) -> UnlearningSet:
    samples = load_cifar(folder)
    random = np.random.default_rng(seed)
    parts = [random.choice(rows, FEW, replace=False) for rows in (samples.train, samples.held)]
    return _as_set("CIFAR-10", samples, np.concatenate(parts), FEW)


def _draw_elec2(folder: Path) -> UnlearningSet:
    with np.load(folder / ELEC2, allow_pickle=False) as held:
        column = [str(one) for one in held["columns"]].index("nswdemand")
        values = held["values"][ELEC2_START : ELEC2_START + ELEC2_LENGTH, column]
    return cut_series("ELEC2", values.astype(np.float64))


def _as_set(
    name: str, samples: ContinualSamples, at: NDArray[np.intp], learned: int
) -> UnlearningSet:
    rows = standardise_columns(samples.features[at], slice(learned))
    targets = torch.from_numpy(samples.label[at].astype(np.int64))
    groups = samples.domain[at]
    return UnlearningSet(
        name=name,
        answers="labels",
        rows=rows[:learned],
        targets=targets[:learned],
        groups=groups[:learned],
        test_rows=rows[learned:],
        test_targets=targets[learned:],
        test_groups=groups[learned:],
    )
