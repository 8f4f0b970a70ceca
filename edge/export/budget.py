"""Choose the extract that fits a budget of flash and RAM, and write it as C.

The search measures extracts from large to small, so that the user sees what each smaller one loses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import firmware_bridge as bridge
import hdc

from ..core import EdgeError
from ..core.knowledge import derive_knowledge
from ..storage import Store, write_files
from ..version import __version__
from .extract import ExtractShape, MeasuredExtract, full_shape, measure_extract, with_head
from .fact_statistics import FactStatistics, collect_statistics

BITS: Final = (8192, 4096, 2048, 1024, 512, 256)
"""Hypervector lengths tried: halves of the detector's 8,192, down to `STEP`."""
STEP: Final = 256
"""Lengths are multiples of 256 bits (docs/howto/firmware.md)."""
KIB: Final = 1024  # bytes
SMALLER_HEADS: Final = ((4, False), (8, True), (4, True))
"""Smaller heads, largest first: bits of a weight, and whether all domains share one head."""

GOLDEN: Final = 24
"""Samples in the golden vectors.  Chosen by hand; effect not measured."""
GOLDEN_NOISE: Final = 12
"""Noise around the mean of a concept, in feature levels of 256.  Chosen by hand; effect not
measured."""


@dataclass(frozen=True, slots=True)
class FlashBudget:
    """Bytes of a microcontroller for the detector's code and the knowledge."""

    flash_bytes: int
    ram_bytes: int

    def holds(self, one: MeasuredExtract) -> bool:
        """Return whether an extract with its code fits."""
        return one.flash_bytes <= self.flash_bytes and one.ram_bytes <= self.ram_bytes


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Constraints on the extract.  rate: of false alarms among known samples; bits: None for the
    best that fits; domains: empty for all."""

    rate: float
    bits: int | None = None
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """All measured extracts, from large to small, and the best of those that fit."""

    candidates: tuple[MeasuredExtract, ...]
    chosen: MeasuredExtract


def read_statistics(path: Path) -> FactStatistics:
    """Open a knowledge file for reading and compute its statistics.  Raises EdgeError."""
    with Store.open(path, writable=False) as store:
        packed = store.geometry()
        if packed is None:
            raise EdgeError(
                f"exporting {path}: it has no fitted geometry yet", "learn something first"
            )
        knowledge = derive_knowledge(store, hdc.Geometry.unpack(dict(packed)))
        return collect_statistics(knowledge, store)


def plan_export(stats: FactStatistics, request: ExportRequest, budget: FlashBudget) -> ExportPlan:
    """Measure extracts of all sizes; if none fits, drop one domain at a time.

    Raises EdgeError if nothing fits or the request is invalid; the hint names the smallest size.
    """
    domains = _domains(stats, request)
    candidates: list[MeasuredExtract] = []
    while domains:
        for shape in _shapes(stats, request, domains):
            measured = measure_extract(stats, shape, request.rate)
            candidates += _head_variants(stats, measured, budget)
        fitting = [one for one in candidates if budget.holds(one)]
        if fitting:
            return ExportPlan(tuple(candidates), max(fitting, key=_quality))
        # The domain with the fewest facts costs the least accuracy.
        least = min(domains, key=lambda name: (stats.facts_in(name), name))
        domains = tuple(name for name in domains if name != least)
    least_flash = min(one.flash_bytes for one in candidates)
    least_ram = min(one.ram_bytes for one in candidates)
    raise EdgeError(
        f"exporting: nothing fits {budget.flash_bytes} bytes of flash and {budget.ram_bytes} bytes"
        " of RAM",
        f"the smallest extract takes {least_flash} bytes of flash and {least_ram} bytes of RAM",
    )


def _head_variants(
    stats: FactStatistics, one: MeasuredExtract, budget: FlashBudget
) -> list[MeasuredExtract]:
    """Return an extract, the first with smaller heads that fits if its own are too large, and one
    with as many random features as fit."""
    made = [one]
    if one.ram_bytes <= budget.ram_bytes:
        for head_bits, shared in SMALLER_HEADS:
            if budget.holds(made[-1]):
                break
            made.append(with_head(stats, one, head_bits, shared=shared))
    smaller = made[-1:] if made[1:] else []
    return [one, *smaller, *_with_random(stats, one, budget)]


def _with_random(
    stats: FactStatistics, one: MeasuredExtract, budget: FlashBudget
) -> list[MeasuredExtract]:
    """Return the extract with the most random features that fit, or nothing."""
    width = one.extract.width
    padded, alone = bridge.power_of_two(width), with_head(stats, one, shared=True)
    for rounds in stats.random.rounds:
        many = rounds * padded
        labels = len(stats.random.labels)
        more = many * (1 + (labels + 1) // 2) + many // 4 + width
        if alone.flash_bytes + more <= budget.flash_bytes:
            found = with_head(stats, one, rounds=rounds)
            if budget.holds(found):
                return [found]
    return []


def _quality(one: MeasuredExtract) -> tuple[float, int]:
    """Sort key: accuracy and detection together, then the smaller size."""
    return one.labelled + one.answered + (one.detected or 0.0), -one.flash_bytes


def _domains(stats: FactStatistics, request: ExportRequest) -> tuple[str, ...]:
    unknown = sorted(set(request.domains) - set(stats.domains))
    if unknown:
        raise EdgeError(
            f"exporting the domain {unknown[0]!r}: the knowledge has only"
            f" {', '.join(stats.domains)}",
            "name domains that `auricle inspect` shows",
        )
    return tuple(sorted(set(request.domains))) or stats.domains


def _shapes(
    stats: FactStatistics, request: ExportRequest, domains: tuple[str, ...]
) -> Iterator[ExtractShape]:
    """Yield shapes from large to small: fewer bits, then no plane, then no columns."""
    whole = replace(full_shape(stats), domains=domains)
    sizes = (
        [bits for bits in BITS if bits <= whole.bits] if request.bits is None else [request.bits]
    )
    if request.bits is not None and (request.bits % STEP or not 0 < request.bits <= whole.bits):
        raise EdgeError(
            f"exporting {request.bits} bits: the hypervectors have {whole.bits}",
            f"choose a multiple of {STEP}, at most {whole.bits}",
        )
    kept = [(whole.columns, whole.plane), (whole.columns, False), (False, False)]
    for bits in sizes:
        for columns, plane in dict.fromkeys(kept):
            yield ExtractShape(bits=bits, columns=columns, plane=plane, domains=domains)


def write_export(
    stats: FactStatistics,
    chosen: MeasuredExtract,
    folder: Path,
    kind: bridge.PackageKind = "files",
) -> tuple[str, ...]:
    """Write an extract's C files into a folder, each atomically; returns their names.  kind: plain
    files, or the package to put them into."""
    exported = bridge.write_c(chosen.extract, golden_features(stats))
    return write_files(folder, bridge.make_package(exported, kind, __version__))


def golden_features(stats: FactStatistics) -> NDArray[np.uint8]:
    """Return the samples of the golden vectors, uint8 [24, width]: means of concepts with seeded
    noise, and pure noise.  They reveal nothing about facts that the extract does not."""
    random = np.random.default_rng(0)
    width = stats.rows.shape[1]
    concepts = np.unique(stats.own)
    made = [random.integers(0, 256, (GOLDEN // 4, width))]
    for number in range(GOLDEN - GOLDEN // 4):
        mine = stats.rows[stats.own == concepts[number % len(concepts)]]
        noise = random.integers(-GOLDEN_NOISE, GOLDEN_NOISE + 1, width)
        made.append((np.rint(mine.mean(axis=0)) + noise).clip(0, 255)[None])
    return np.concatenate(made).astype(np.uint8)
