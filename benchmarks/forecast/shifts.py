"""Change detectors on real series of six channels and more, with injected shifts: the share that is
found within 24 samples, and the reports on the unchanged series, which may be true or false.

`steady`: the share of windows of 128 samples from which `auto` takes a series for levels with
noise.  Its limit was chosen with these sets in view.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core.drift import DETECTORS

from ..report import BenchmarkRow
from ..trust.time_sets import time_parts
from .detect import WINDOW_STEPS

Reals = NDArray[np.float64]

SETS = ("SKAB", "ETTh1", "ELEC2", "weather", "stations")
"""Those of `benchmarks.trust.time_sets` with at least six channels of real changes of their own."""

KINDS = ("auto", "joint", "segments")

SIZES = (2, 4)
"""Deviations of the 256 samples before, by which half the channels are shifted."""

PARTS = 6
"""Recordings of a set, at most."""

DRAWS = 3
"""Shifts of each size in a recording."""

CHOICE_STEPS = 128
"""Samples after which `auto` chooses."""

PAST = 300
"""Samples that a detector sees before a shift."""


def shifts(data: Path | None, *, quick: bool) -> tuple[list[BenchmarkRow], list[str]]:
    """Measure every set that is available, and return what is missing; some minutes."""
    parts, notes = time_parts(data, quick=quick)
    rows: list[BenchmarkRow] = []
    for name in SETS:
        held = [part.values for part in parts if part.group == name][:PARTS]
        if held:
            rows += _rows(name, held)
    return rows, notes


def _rows(name: str, held: list[Reals]) -> Iterator[BenchmarkRow]:
    steady = [
        chosen(values[at : at + CHOICE_STEPS]) == "segments"
        for values in held
        for at in range(0, len(values) - CHOICE_STEPS, CHOICE_STEPS // 2)
    ]
    yield BenchmarkRow("auto", f"{name}_steady", float(np.mean(steady)))
    for kind in KINDS:
        reports = sum(len(_reported(kind, values)) for values in held)
        per_1000 = 1000 * reports / sum(map(len, held))
        yield BenchmarkRow(kind, f"{name}_reports_per_1000", per_1000)
        for size in SIZES:
            random = np.random.default_rng(0)  # the same shifts for every kind
            found = [found_in(kind, values, size, random) for values in held for _ in range(DRAWS)]
            yield BenchmarkRow(kind, f"{name}_shift_{size}_found", float(np.mean(found)))


def chosen(values: Reals) -> str:
    """Return the kind that the data choose."""
    detector = DETECTORS["auto"](values.shape[1])
    for row in values:
        detector.step(row)
    (kind,) = {name.partition("/")[0] for name in detector.state() if "/" in name}
    return kind


def found_in(kind: str, values: Reals, size: int, random: np.random.Generator) -> bool:
    """Return whether a shift of half the channels at a random place is reported within 24
    samples."""
    channels = values.shape[1]
    at = int(random.integers(PAST, len(values) - WINDOW_STEPS))
    moved = random.permutation(channels)[: max(3, channels // 2)]
    rows = values[at - PAST : at + WINDOW_STEPS].copy()
    spread = values[max(0, at - 256) : at].std(axis=0)
    rows[PAST:, moved] += size * spread[moved] * random.choice([-1, 1], len(moved))
    return any(step >= PAST for step in _reported(kind, rows))


def _reported(kind: str, values: Reals) -> list[int]:
    detector = DETECTORS[kind](values.shape[1])
    return [change.step for row in values for change in detector.step(row)]
