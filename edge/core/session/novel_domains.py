"""Openings: domains that streams came upon and that are not learned yet.

What was observed there stands in for facts: each observation joins a provisional concept, named
after the known label it is nearest to, so that the opening is recognised whenever any stream comes
back to it.  All of this is session state; nothing here reaches a ledger or a digest.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from .. import limits
from ..config import Config
from ..knowledge import Knowledge

PROVISIONAL: Final = "?"
"""What the labels of provisional concepts begin with."""

APART: Final = ""
"""The domain that samples form among themselves while they are compared with others."""

STALE_MIN: Final = 8
"""Observations, and eighths of all, that may come before concepts are made again."""

GRADUATION_WINDOWS: Final = 4
"""Windows of an opening that its facts alone must know before it closes."""

PART_MIN: Final = 3
"""Fewest observations that can be a group of their own."""

CLEAVING_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class UnlabelledRow:
    """An observation in an opening, under the known label it is nearest to."""

    label: str
    features: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceModel:
    """What observations are placed on: knowledge, with the openings laid over it.

    learned: where the concepts of knowledge stand among those of `memory`; None where it is the
    memory of knowledge itself.
    """

    memory: hdc.Memory
    calibration: hdc.Calibration
    learned: NDArray[np.intp] | None = None

    def compare(self, codes: hdc.Codes, known: Knowledge) -> tuple[hdc.Comparison, hdc.Comparison]:
        """Compare one sample with what is learned, and with that and the openings, measuring once
        where both look at all concepts."""
        whole = hdc.compare(codes, self.memory, self.calibration)
        if self.learned is None:
            return whole, whole
        if whole.columns is not None:
            return hdc.compare(codes, known.memory, known.calibration()), whole
        return whole.restricted_to(known.memory.keys, self.learned), whole

    def apart(self, samples: hdc.Codes, labels: Sequence[str], home: str) -> float:
        """Return how many times farther samples are from a domain than from each other.

        labels: of the concepts they would form, at least two samples.  Each sample is compared with
        the concepts of all others, so that a random part of the domain itself comes out below 1.
        The geometric mean over samples and blocks, hypervectors counting as much as all fitted
        blocks together: ratios need no scale, and one surveyed elsewhere says little here.
        """
        memory, named = self.memory.part(home), np.array(labels)
        kinds = sorted(set(named.tolist()))
        for label in kinds:
            memory.add(APART, label, samples[named == label])
        ratios = [_ratios(memory, label, samples[named == label], home) for label in kinds]
        logs = np.concatenate(ratios).mean(axis=0)
        return float(np.exp((logs[0] + logs.mean()) / 2))


class NovelDomains:
    """The openings by name, bounded: the one not visited for longest goes first."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, OrderedDict[str, UnlabelledRow]] = OrderedDict()
        self._fresh = 0
        self._laid: tuple[int, ReferenceModel] | None = None

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    @property
    def names(self) -> frozenset[str]:
        """The names of all openings."""
        return frozenset(self._rows)

    def rows(self, name: str) -> Mapping[str, UnlabelledRow]:
        """Return the observations of an opening by id, oldest first; none where there is none."""
        return self._rows.get(name, {})

    def add(self, name: str, observation_id: str, row: UnlabelledRow) -> None:
        """Add an observation to an opening, new where it was not there; the oldest make room."""
        if name not in self._rows:
            self._rows[name] = OrderedDict()
            self._laid = None
        rows = self._rows[name]
        self._rows.move_to_end(name)
        rows[observation_id] = row
        if len(rows) > limits.OPENING_OBSERVATIONS_MAX:
            rows.popitem(last=False)
        if len(self._rows) > limits.OPENINGS_MAX:
            self._rows.popitem(last=False)
        self._fresh += 1
        if self._fresh > max(STALE_MIN, len(rows) // STALE_MIN):
            self._laid = None

    def drop(self, observation_ids: Iterable[str]) -> None:
        """Take observations out: they are facts now, or forgotten.  An opening without any is
        none."""
        for observation_id in observation_ids:
            for name, rows in tuple(self._rows.items()):
                if rows.pop(observation_id, None) is not None:
                    self._laid = None
                if not rows:
                    del self._rows[name]

    def close(self, name: str) -> None:
        """Drop an opening."""
        if self._rows.pop(name, None) is not None:
            self._laid = None

    def rename(self, old: str, new: str) -> None:
        """Let an opening have another name, or be part of another."""
        for observation_id, row in self._rows.pop(old, OrderedDict[str, UnlabelledRow]()).items():
            self.add(new, observation_id, row)
        self._laid = None

    def graduate(self, known: Knowledge, config: Config) -> None:
        """Close the openings whose facts say of every window of their observations: mine, known.

        Cost: up to four windows of verdicts an opening that has facts.
        """
        for name in [name for name in self._rows if name in known.domains]:
            if _learned(name, tuple(self._rows[name].values()), known, config):
                self.close(name)

    def lay(self, known: Knowledge, version: int) -> ReferenceModel:
        """Lay the openings over knowledge.  version: of the knowledge.

        Cost: one projection and one score an observation in any opening, after changes and now and
        then.
        """
        if self._laid is None or self._laid[0] != version:
            self._laid = version, self._ground(known)
            self._fresh = 0
        return self._laid[1]

    def _ground(self, known: Knowledge) -> ReferenceModel:
        memory, facts = known.memory, list(self._provisional(known))
        if not facts:
            return ReferenceModel(memory, known.calibration())
        memory = memory.copy()
        for fact in facts:
            memory.add(*fact)
        calibration = hdc.merge_calibrations([known.calibration(), hdc.calibrate(memory, facts)])
        at = {key: place for place, key in enumerate(memory.keys)}
        return ReferenceModel(memory, calibration, np.array([at[key] for key in known.memory.keys]))

    def _provisional(self, known: Knowledge) -> Iterator[tuple[str, str, hdc.Codes]]:
        for name, rows in self._rows.items():
            for label in sorted({row.label for row in rows.values()}):
                features = unpack_row(row for row in rows.values() if row.label == label)
                for number, part in enumerate(bisect_rows(features)):
                    yield name, f"{PROVISIONAL}{label}{number}", known.geometry.project(part)


def bisect_rows(features: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Cut rows that lie in groups far apart into these groups; what is diffuse stays whole.

    A known label need not mean one kind of thing in a new domain.  Two means (MacQueen 1967), kept
    where they halve the squared distances, and so on within each.
    """
    rows = features.astype(np.float32)
    ends = rows.mean(axis=0)[None]
    before = _squares(rows, ends)[:, 0]
    first = rows[before.argmax()]
    ends = np.stack([first, rows[np.square(rows - first).sum(axis=1).argmax()]])
    for _ in range(CLEAVING_ROUNDS):
        side = _squares(rows, ends).argmin(axis=1)
        counts = np.bincount(side, minlength=2)
        if counts.min() < PART_MIN:
            return [features]
        ends = np.stack([rows[side == at].mean(axis=0) for at in (0, 1)])
    apart = _squares(rows, ends)
    if 2 * apart.min(axis=1).sum() > before.sum():
        return [features]
    side = apart.argmin(axis=1)
    return [part for at in (0, 1) for part in bisect_rows(features[side == at])]


def _squares(rows: NDArray[np.float32], ends: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances [n, ends]."""
    return np.stack([np.square(rows - end).sum(axis=1) for end in ends], axis=1)


def unpack_row(rows: Iterable[UnlabelledRow]) -> NDArray[np.uint8]:
    """Put the features of rows, one at least, side by side: uint8 [n, width]."""
    return np.array([np.frombuffer(row.features, np.uint8) for row in rows], np.uint8)


def _ratios(memory: hdc.Memory, label: str, samples: hdc.Codes, home: str) -> NDArray[np.float64]:
    """Logarithms of distances to a domain over those to the other samples: [n, blocks]."""
    distances = memory.distances_held_out(APART, label, samples)
    lone = memory.counts[APART, label] == 1
    mine = [
        at
        for at, key in enumerate(memory.keys)
        if key[0] == APART and not (lone and key[1] == label)
    ]
    there = [at for at, key in enumerate(memory.keys) if key[0] == home]
    away, near = distances[:, there].min(axis=1), distances[:, mine].min(axis=1)
    return np.asarray(np.log((1 + away) / (1 + near)))


def _learned(name: str, rows: Sequence[UnlabelledRow], known: Knowledge, config: Config) -> bool:
    """Say whether knowledge alone takes the newest observations of an opening for its own."""
    if not rows:
        return True
    calibration, size, rate = known.calibration(), config.window, config.false_alarm_rate
    codes = known.geometry.project(unpack_row(rows[-GRADUATION_WINDOWS * size :]))
    verdicts = [hdc.detect(codes[at], known.memory, calibration, rate) for at in range(len(codes))]
    parts = [verdicts[at : at + size] for at in range(0, len(verdicts), size)]
    found = [hdc.detect_window(part, calibration, rate) for part in parts]
    return all(one.known and one.domain == name for one in found)
