"""Sets of similar domains for the benchmark of domains: features, labels, domains, recordings.

Digits are the 5,000 that this project ships, 14 x 14 pixels, through six or twelve simulated
scanners of graded contrast, brightness, stroke and skew.  Vowels (aeon), speakers as domains;
ELEC2 and ETTh1 through six simulated sensors of graded gain and offset; PACS, four styles.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.core import Fact
from edge.sim import load_mnist

from ..ood.sets import MissingError, _pacs, _vowels

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

HELD = 0.2
"""Share of rows that are held out for the accuracy, where a set has no official split.  Chosen by
hand."""
SENSORS = 6
"""Simulated sensors of a series: as many as the speakers of the published evaluation."""
SCANNERS = (
    (1.0, 0, 0.0, 0),
    (0.5, 0, 0.0, 0),
    (1.0, 40, 0.0, 0),
    (0.9, 0, 0.9, 0),
    (1.0, 0, 0.0, 1),
    (0.8, 30, 0.4, -1),
)
"""Contrast, grey of the paper, blur and shift in pixels.  Chosen by hand."""
SERIES_ROWS = 6_000
"""Rows of a series that are used, evenly spaced: 1,000 a sensor.  Chosen by hand."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DomainSet:
    """Levels uint8 [n, width], label and domain [n], the held-out rows, and the card.

    group: rows of one recording, which stay together and in order; None for independent rows.
    """

    name: str
    levels: NDArray[np.uint8] = field(repr=False)
    label: Ints
    domain: Ints
    held: NDArray[np.bool_]
    card: encoder.Card
    group: Ints | None = None

    @property
    def domains(self) -> int:
        """The number of domains."""
        return int(self.domain.max()) + 1

    def encode(self, payload: object) -> encoder.Features:
        """Return the features of the row that a payload names."""
        return encoder.Features(self.levels[int(str(payload))])

    def recording(self, row: int) -> str:
        """Return the recording that a row is a part of, "" if unknown."""
        return "" if self.group is None else f"recording-{self.group[row]}"

    def fact(self, row: int, domain: str, at: int) -> Fact:
        """Return a row, captured at a time, as a fact of a domain."""
        return Fact(
            id=f"row-{row:05}",
            stream="sensor",
            domain=domain,
            label=str(self.label[row]),
            captured_at_ns=at,
            features=self.levels[row].tobytes(),
            recording=self.recording(row),
        )


def load_domain_sets(
    data: Path | None, names: tuple[str, ...] = ()
) -> tuple[list[DomainSet], list[str]]:
    """Load the sets that are there (or the named ones), and the reasons for the missing ones."""
    found, notes = [], []
    for name, load in SETS.items():
        if names and name not in names:
            continue
        try:
            found.append(load(data))
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
    return found, notes


def _digits(name: str, count: int) -> DomainSet:
    """Return digits through simulated scanners; each sees other digits, the first all as they
    are."""
    digits = load_mnist()
    order = np.random.default_rng(0).permutation(len(digits))
    pixels = digits.images[order].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    domain = np.arange(len(order)) % count
    values = np.empty((len(order), 14 * 14), np.float32)
    for scanner in range(count):
        rows = domain == scanner
        values[rows] = _scan(pixels[rows], scanner).reshape(-1, 14 * 14)
    return _made(name, values, digits.labels[order], domain, granularity="tap")


def _scan(images: NDArray[np.float64], scanner: int) -> NDArray[np.float64]:
    """Return images as a scanner records them: fainter, on grey paper, blurred, moved; from the
    seventh on noisier, too."""
    kind, noise = scanner % 6, 6 + 14 * (scanner // 6)
    contrast, grey, blur, moved = SCANNERS[kind]
    random = np.random.default_rng(scanner)
    made = np.roll(images * contrast + grey, (scanner // 6, moved), axis=(1, 2))
    for axis in (1, 2):
        near = (np.roll(made, 1, axis=axis) + np.roll(made, -1, axis=axis)) / 2
        made = (1 - blur) * made + blur * near
    return np.clip(made + random.normal(size=made.shape) * noise, 0, 255)


def _speakers(_data: Path | None) -> DomainSet:
    """Return Japanese vowels (aeon), six of nine speakers; the label is the third of the vowel."""
    found = _vowels(None)
    kept = found.domain < SENSORS
    assert found.group is not None
    made = _made("vowels6", found.values[kept], found.label[kept], found.domain[kept], "channel")
    return _with_groups(made, found.group[kept])


def _elec2(data: Path | None) -> DomainSet:
    """Return ELEC2 (half hours, price up or down) through six sensors."""
    found = np.load(_file(data, "elec2.npz"))
    return _sensors("elec2_6", found["values"], found["label"].astype(np.int64))


def _etth1(data: Path | None) -> DomainSet:
    """Return ETTh1 (hourly transformer loads) through six sensors; the label is the part of the
    day."""
    values = np.load(_file(data, "ETTh1.npz"))["values"]
    return _sensors("etth1_6", values, np.arange(len(values), dtype=np.int64) % 24 // 8)


def _sensors(name: str, values: NDArray[np.generic], label: Ints) -> DomainSet:
    """Return rows in time order, dealt out to sensors whose columns differ in gain and offset by
    up to half a deviation and more."""
    kept = np.linspace(0, len(values) - 1, SERIES_ROWS).astype(np.int64)
    rows = np.asarray(values, np.float64)[kept]
    rows = rows[:, rows.std(axis=0) > 0]
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    unit = (rows - centre) / spread
    domain = np.arange(len(kept)) % SENSORS
    for sensor in range(1, SENSORS):
        random = np.random.default_rng(sensor)
        gain = 1 + 0.3 * random.normal(size=rows.shape[1])
        offset = 0.8 * random.normal(size=rows.shape[1])
        mine = domain == sensor
        unit[mine] = unit[mine] * gain + offset
    return _made(name, unit.astype(np.float32), label[kept], domain, "channel")


def _styles(data: Path | None) -> DomainSet:
    """Return PACS through EfficientNet-Lite0, all taps, official split."""
    found = _pacs(data)
    assert data is not None
    held = np.load(data / "pacs_efficientnet_lite0.npz")["split"] == 1
    spans = tuple(slice(*pair) for pair in found.slices)
    quantiser = encoder.freeze_quantiser(found.values[~held][::10], spans)
    names = {f"tap{at}": span.stop - span.start for at, span in enumerate(spans)}
    return DomainSet(
        name="pacs",
        levels=quantiser.quantise(found.values),
        label=found.label,
        domain=found.domain,
        held=held,
        card=encoder.vector_card(found.values.shape[1], "pacs", quantiser, names),
    )


def _made(
    name: str, values: Floats, label: Ints, domain: Ints, granularity: encoder.Granularity
) -> DomainSet:
    """Return a set; the quantiser is fitted to the first domain, as an enrolment does."""
    held = np.random.default_rng(1).random(len(values)) < HELD
    whole = (slice(0, values.shape[1]),)
    quantiser = encoder.freeze_quantiser(values[(domain == 0) & ~held], whole, granularity)
    return DomainSet(
        name=name,
        levels=quantiser.quantise(values),
        label=label.astype(np.int64),
        domain=domain.astype(np.int64),
        held=held,
        card=encoder.vector_card(values.shape[1], name, quantiser),
    )


def _with_groups(made: DomainSet, group: Ints) -> DomainSet:
    """Return the set with recordings; whole recordings are held out."""
    chosen = np.random.default_rng(1).random(int(group.max()) + 1) < HELD
    return DomainSet(
        name=made.name,
        levels=made.levels,
        label=made.label,
        domain=made.domain,
        held=chosen[group],
        card=made.card,
        group=group,
    )


def _file(data: Path | None, name: str) -> Path:
    if data is None or not (data / name).exists():
        raise MissingError(f"no {name} (name its folder by --data or AURICLE_DATA)")
    return data / name


SETS: dict[str, Callable[[Path | None], DomainSet]] = {
    "digits6": lambda _: _digits("digits6", 6),
    "digits12": lambda _: _digits("digits12", 12),
    "vowels6": _speakers,
    "elec2_6": _elec2,
    "etth1_6": _etth1,
    "pacs": _styles,
}
