"""Few samples a class: how often an unknown class is called known with confidence.

Protocol: n samples of each class of a set are enrolled, except one class.  Its samples are unknown,
other samples of the enrolled classes are known.  Each class is left out in turn; rates are means
over the classes left out, then over the sets.  An answer is known, new or "cannot tell".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hdc

from ..ood.packaged import keel_table
from ..ood.sets import SETS, FeatureSet, MissingError
from ..report import BenchmarkRow

COUNTS = (10, 20, 30, 50, 100)
"""Samples a class: from fewer than a rate of 1 % allows to as many as are enough."""
RATE = 0.01
"""The runtime's default false-alarm rate."""
TESTED_MAX = 100
"""Samples of a class that are tested.  Chosen by hand, for the run time."""
CLASSES_MAX = 10
"""Classes of a set, the first ones.  Chosen by hand, for the run time."""
DEVELOPED = ("pacs photos", "digits_pixels", "segment")
"""Sets on which the limits of doubt were chosen; the others confirm them."""
SHOWN = 30
"""Samples a class in the summary, as the target names them."""


@dataclass(frozen=True, slots=True)
class SmallRates:
    """Fractions of 1: known samples answered as known, unknown ones called new or doubted, and
    unknown ones called new."""

    known: float
    unknown: float
    new: float


def run_part(
    data: Path | None, *, quick: bool = False
) -> tuple[list[BenchmarkRow], dict[str, float], list[str]]:
    """Measure every set.  quick: 30 samples a class and two classes left out."""
    rows: list[BenchmarkRow] = []
    notes: list[str] = []
    found: dict[str, SmallRates] = {}
    for name, known in _sets(data, notes):
        for count in (SHOWN,) if quick else COUNTS:
            rates = measure(known, count, left_out_max=2 if quick else CLASSES_MAX)
            if rates is None:
                continue
            if count == SHOWN:
                found[name] = rates
            for what in ("known", "unknown", "new"):
                metric = f"small_{name}_{count}_{what}".replace(" ", "_")
                rows.append(BenchmarkRow("auricle", metric, getattr(rates, what)))
    summary: dict[str, float] = {}
    if found:
        summary = {
            "unknown_at_30_per_class": float(np.mean([one.unknown for one in found.values()])),
            "unknown_at_30_per_class_worst": min(one.unknown for one in found.values()),
            "known_at_30_per_class": float(np.mean([one.known for one in found.values()])),
            "known_at_30_per_class_worst": min(one.known for one in found.values()),
        }
    return rows, summary, notes


def _sets(data: Path | None, notes: list[str]) -> Iterator[tuple[str, FeatureSet]]:
    """Yield sets whose classes are left out; of several domains the first alone."""
    for name, of in (("pacs photos", "pacs"), ("digits_pixels", "digits_pixels")):
        try:
            yield name, SETS[of](data)
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
    for name in ("letter", "penbased", "satimage", "segment", "texture"):
        try:
            yield name, keel_table(name)
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")


def measure(known: FeatureSet, count: int, *, left_out_max: int = CLASSES_MAX) -> SmallRates | None:
    """Return the rates with `count` samples a class, None if a class has fewer than that and 20
    to test."""
    # Tables of class groups are one domain here: their classes are left out one by one.
    whole = known.name in {"pacs", "digits_pixels"}
    here = known.domain == 0 if whole else np.ones(len(known.domain), np.bool_)
    random = np.random.default_rng(0)
    classes = np.unique(known.label[here])[:CLASSES_MAX].tolist()
    rows = {one: random.permutation(np.flatnonzero(here & (known.label == one))) for one in classes}
    if min(map(len, rows.values())) < count + 20:
        return None
    made = [_trial(known, rows, count, one) for one in classes[:left_out_max]]
    return SmallRates(*(float(np.mean(part)) for part in zip(*made, strict=True)))


def _trial(
    known: FeatureSet, rows: dict[int, NDArray[np.intp]], count: int, left_out: int
) -> tuple[float, float, float]:
    classes = [one for one in rows if one != left_out]
    enrolled = np.concatenate([rows[one][:count] for one in classes])
    scale, zero = known.quantiser(known.values[enrolled])

    def quantise(part: NDArray[np.intp]) -> NDArray[np.uint8]:
        levels = np.rint(known.values[part] / scale) + zero
        return np.asarray(np.clip(levels, 0, 255), dtype=np.uint8)

    labels = known.label[enrolled]
    geometry = hdc.fit_geometry(
        quantise(enrolled), labels, known.slices, 1, zeros=zero, weights=scale
    )
    memory, codes = hdc.Memory(geometry), geometry.project(quantise(enrolled))
    facts = [("known", str(one), codes[labels == one]) for one in classes]
    for fact in facts:
        memory.add(*fact)
    calibration = hdc.calibrate(memory, facts)

    def answers(part: NDArray[np.intp]) -> list[bool | None]:
        seen = geometry.project(quantise(part))
        return [one.known for _, one in hdc.detect_each(seen, memory, calibration, RATE)]

    test = np.concatenate([rows[one][count : count + TESTED_MAX // 4] for one in classes])
    inside, outside = answers(test), answers(rows[left_out][:TESTED_MAX])
    return (
        sum(one is True for one in inside) / len(inside),
        sum(one is not True for one in outside) / len(outside),
        sum(one is False for one in outside) / len(outside),
    )
