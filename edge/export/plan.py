"""Which extract fits a budget of flash and RAM, and what each smaller one loses."""

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
from .extract import ExtractShape, MeasuredExtract, full_shape, measure_extract, with_head
from .measured_facts import MeasuredFacts, measure_facts

BITS: Final = (8192, 4096, 2048, 1024, 512, 256)
STEP: Final = 256
KIB: Final = 1024
SMALLER_HEADS: Final = ((4, False), (8, True), (4, True))
"""Bits a weight, and whether one head serves all domains."""

GOLDEN: Final = 24
GOLDEN_NOISE: Final = 12


@dataclass(frozen=True, slots=True)
class FlashBudget:
    """What a microcontroller spares for detector and knowledge, in bytes."""

    flash_bytes: int
    ram_bytes: int

    def holds(self, one: MeasuredExtract) -> bool:
        """Say whether an extract with its code fits."""
        return one.flash_bytes <= self.flash_bytes and one.ram_bytes <= self.ram_bytes


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is asked for.  bits: None for the best that fits; domains: empty for all."""

    rate: float
    bits: int | None = None
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """Extracts from large to small; `chosen`: the best that fits."""

    offers: tuple[MeasuredExtract, ...]
    chosen: MeasuredExtract


def read_facts(path: Path) -> MeasuredFacts:
    """Open a knowledge file for reading and measure its facts; raises EdgeError."""
    with Store.open(path, writable=False) as store:
        packed = store.geometry()
        if packed is None:
            raise EdgeError(
                f"exporting {path}: its geometry is not frozen yet", "learn something first"
            )
        knowledge = derive_knowledge(store, hdc.Geometry.unpack(dict(packed)))
        return measure_facts(knowledge, store)


def plan_export(ground: MeasuredFacts, wish: ExportRequest, budget: FlashBudget) -> ExportPlan:
    """Measure extracts of all sizes; where none fits, of fewer and fewer domains.

    Raises EdgeError for a wish that cannot be met, naming the least that it takes.
    """
    domains = _domains(ground, wish)
    offers = []
    while domains:
        for shape in _shapes(ground, wish, domains):
            offers += _offers(ground, measure_extract(ground, shape, wish.rate), budget)
        fitting = [one for one in offers if budget.holds(one)]
        if fitting:
            return ExportPlan(tuple(offers), max(fitting, key=_worth))
        # The domain with the fewest facts goes first: it is missed least.
        least = min(domains, key=lambda name: (ground.facts_in(name), name))
        domains = tuple(name for name in domains if name != least)
    least_flash = min(one.flash_bytes for one in offers)
    least_ram = min(one.ram_bytes for one in offers)
    raise EdgeError(
        f"exporting: nothing fits {budget.flash_bytes} bytes of flash and {budget.ram_bytes} bytes"
        " of RAM",
        f"the smallest extract takes {least_flash} bytes of flash, and {least_ram} of RAM",
    )


def _offers(
    ground: MeasuredFacts, one: MeasuredExtract, budget: FlashBudget
) -> list[MeasuredExtract]:
    """An extract; where its heads are too large, the first smaller ones that fit; and one with as
    many random features as fit."""
    made = [one]
    if one.ram_bytes <= budget.ram_bytes:
        for head_bits, shared in SMALLER_HEADS:
            if budget.holds(made[-1]):
                break
            made.append(with_head(ground, one, head_bits, shared=shared))
    smaller = made[-1:] if made[1:] else []
    return [one, *smaller, *_with_random(ground, one, budget)]


def _with_random(
    ground: MeasuredFacts, one: MeasuredExtract, budget: FlashBudget
) -> list[MeasuredExtract]:
    """The extract with most of the random features that fit, if any do."""
    width = one.extract.width
    padded, alone = bridge.power_of_two(width), with_head(ground, one, shared=True)
    for rounds in ground.random.rounds:
        many = rounds * padded
        labels = len(ground.random.labels)
        more = many * (1 + (labels + 1) // 2) + many // 4 + width
        if alone.flash_bytes + more <= budget.flash_bytes:
            found = with_head(ground, one, rounds=rounds)
            if budget.holds(found):
                return [found]
    return []


def _worth(one: MeasuredExtract) -> tuple[float, int]:
    """What an extract keeps; of two that keep the same, the smaller."""
    return one.labelled + one.answered + (one.detected or 0.0), -one.flash_bytes


def _domains(ground: MeasuredFacts, wish: ExportRequest) -> tuple[str, ...]:
    unknown = sorted(set(wish.domains) - set(ground.domains))
    if unknown:
        raise EdgeError(
            f"exporting the domain {unknown[0]!r}: the knowledge has only"
            f" {', '.join(ground.domains)}",
            "name domains that `auricle inspect` shows",
        )
    return tuple(sorted(set(wish.domains))) or ground.domains


def _shapes(
    ground: MeasuredFacts, wish: ExportRequest, domains: tuple[str, ...]
) -> Iterator[ExtractShape]:
    """Shapes from large to small: fewer bits, then no plane, then no columns."""
    whole = replace(full_shape(ground), domains=domains)
    sizes = [bits for bits in BITS if bits <= whole.bits] if wish.bits is None else [wish.bits]
    if wish.bits is not None and (wish.bits % STEP or not 0 < wish.bits <= whole.bits):
        raise EdgeError(
            f"exporting {wish.bits} bits: the hypervectors have {whole.bits}",
            f"ask for a multiple of {STEP}, and for no more than there are",
        )
    kept = [(whole.columns, whole.plane), (whole.columns, False), (False, False)]
    for bits in sizes:
        for columns, plane in dict.fromkeys(kept):
            yield ExtractShape(bits, columns, plane, domains)


def write_export(ground: MeasuredFacts, chosen: MeasuredExtract, folder: Path) -> tuple[str, ...]:
    """Write an extract's C files into a folder, each whole or not at all; returns their names."""
    return write_files(folder, bridge.write_c(chosen.extract, golden_features(ground)))


def golden_features(ground: MeasuredFacts) -> NDArray[np.uint8]:
    """Samples for golden vectors, uint8 [24, width]: means of concepts with seeded noise, and noise
    alone.  They give no fact away that the extract does not."""
    random = np.random.default_rng(0)
    width = ground.rows.shape[1]
    concepts = np.unique(ground.own)
    made = [random.integers(0, 256, (GOLDEN // 4, width))]
    for number in range(GOLDEN - GOLDEN // 4):
        mine = ground.rows[ground.own == concepts[number % len(concepts)]]
        noise = random.integers(-GOLDEN_NOISE, GOLDEN_NOISE + 1, width)
        made.append((np.rint(mine.mean(axis=0)) + noise).clip(0, 255)[None])
    return np.concatenate(made).astype(np.uint8)
