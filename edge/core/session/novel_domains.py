"""Novel domains: domains that streams have entered and that have no facts yet.

Their unlabelled observations stand in for facts.  Each joins a provisional concept, named after the
known label it is nearest to, so that a novel domain is recognised when any stream returns to it.
All of this is session state; nothing here reaches a ledger or a digest.
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

PROVISIONAL_PREFIX: Final = "?"
"""First character of the labels of provisional concepts."""

SAMPLES_DOMAIN: Final = ""
"""Domain of the samples themselves while their separation from a domain is measured; no real domain
has an empty name."""

REFRESH_SHARE: Final = 8
"""A reference model is built again after this many new observations, or after one in this many of a
larger domain's.  Chosen by hand; effect not measured."""

PROMOTION_WINDOWS: Final = 4
"""Windows of a novel domain that its facts alone must recognise before it is promoted.  Chosen by
hand; effect not measured."""

GROUP_ROWS_MIN: Final = 3
"""Fewest observations that form a group of their own.  Chosen by hand; effect not measured."""

BISECTION_ROUNDS: Final = 5
"""Rounds of two-means: few, since only groups far apart are kept.  Chosen by hand; effect not
measured."""


@dataclass(frozen=True, slots=True)
class UnlabelledRow:
    """An observation of a novel domain.  label: the known label it is nearest to.  features: uint8,
    as bytes."""

    label: str
    features: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceModel:
    """The model that observations are compared with: knowledge, overlaid with novel domains.

    learned: columns of knowledge's concepts in `memory`; None if `memory` is that of knowledge.
    """

    memory: hdc.Memory
    calibration: hdc.Calibration
    learned: NDArray[np.intp] | None = None

    def compare(self, codes: hdc.Codes, known: Knowledge) -> tuple[hdc.Comparison, hdc.Comparison]:
        """Compare one sample with the learned domains, and with novel ones included; distances are
        computed once if both comparisons cover all concepts."""
        every = hdc.compare(codes, self.memory, self.calibration)
        if self.learned is None:
            return every, every
        if every.columns is not None:
            return hdc.compare(codes, known.memory, known.calibration()), every
        return every.restricted_to(known.memory.keys, self.learned), every

    def separation(self, samples: hdc.Codes, labels: Sequence[str], domain: str) -> float:
        """Return how many times farther samples are from a domain than from each other.

        labels: of the concepts they would form, for at least two samples.  Each sample is compared
        with the concepts of all others, so that a random part of the domain itself yields less
        than 1.  The result is a geometric mean over samples and blocks; hypervectors count as much
        as all fitted blocks together, since ratios need no scale, and a scale fitted elsewhere
        means little here.
        """
        memory, named = self.memory.part(domain), np.array(labels)
        kinds = sorted(set(named.tolist()))
        for label in kinds:
            memory.add(SAMPLES_DOMAIN, label, samples[named == label])
        ratios = [_log_ratios(memory, label, samples[named == label], domain) for label in kinds]
        logs = np.concatenate(ratios).mean(axis=0)
        return float(np.exp((logs[0] + logs.mean()) / 2))


class NovelDomains:
    """Novel domains by name, bounded: the one not visited for longest is dropped first."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, OrderedDict[str, UnlabelledRow]] = OrderedDict()
        self._added = 0
        self._model: tuple[int, ReferenceModel] | None = None

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    @property
    def names(self) -> frozenset[str]:
        """The names of all novel domains."""
        return frozenset(self._rows)

    def rows(self, name: str) -> Mapping[str, UnlabelledRow]:
        """Return the observations of a novel domain by id, oldest first; empty for another name."""
        return self._rows.get(name, {})

    def add(self, name: str, observation_id: str, row: UnlabelledRow) -> None:
        """Add an observation, opening the domain if needed; beyond a bound the oldest is
        dropped."""
        if name not in self._rows:
            self._rows[name] = OrderedDict()
            self._model = None
        rows = self._rows[name]
        self._rows.move_to_end(name)
        rows[observation_id] = row
        if len(rows) > limits.NOVEL_DOMAIN_OBSERVATIONS_MAX:
            rows.popitem(last=False)
        if len(self._rows) > limits.NOVEL_DOMAINS_MAX:
            self._rows.popitem(last=False)
        self._added += 1
        if self._added > max(REFRESH_SHARE, len(rows) // REFRESH_SHARE):
            self._model = None

    def drop(self, observation_ids: Iterable[str]) -> None:
        """Drop observations that became facts or were forgotten, and domains left empty."""
        for observation_id in observation_ids:
            for name, rows in tuple(self._rows.items()):
                if rows.pop(observation_id, None) is not None:
                    self._model = None
                if not rows:
                    del self._rows[name]

    def close(self, name: str) -> None:
        """Drop a novel domain."""
        if self._rows.pop(name, None) is not None:
            self._model = None

    def rename(self, old: str, new: str) -> None:
        """Rename a novel domain, or merge it into an existing one."""
        for observation_id, row in self._rows.pop(old, OrderedDict[str, UnlabelledRow]()).items():
            self.add(new, observation_id, row)
        self._model = None

    def promote(self, known: Knowledge, config: Config) -> None:
        """Close the domains whose facts alone recognise every window of their newest observations.

        Cost: up to four windows of verdicts per domain that has facts.
        """
        for name in [name for name in self._rows if name in known.domains]:
            if _is_learned(name, tuple(self._rows[name].values()), known, config):
                self.close(name)

    def reference_model(self, known: Knowledge, version: int) -> ReferenceModel:
        """Return knowledge overlaid with the novel domains.  version: of the knowledge.

        Cost, when built again: one projection and one score per observation of a novel domain.
        """
        if self._model is None or self._model[0] != version:
            self._model = version, self._overlay(known)
            self._added = 0
        return self._model[1]

    def _overlay(self, known: Knowledge) -> ReferenceModel:
        memory, concepts = known.memory, list(self._provisional(known))
        if not concepts:
            return ReferenceModel(memory, known.calibration())
        memory = memory.copy()
        for concept in concepts:
            memory.add(*concept)
        calibration = hdc.merge_calibrations([known.calibration(), hdc.calibrate(memory, concepts)])
        at = {key: place for place, key in enumerate(memory.keys)}
        return ReferenceModel(memory, calibration, np.array([at[key] for key in known.memory.keys]))

    def _provisional(self, known: Knowledge) -> Iterator[tuple[str, str, hdc.Codes]]:
        """Yield provisional concepts: domain, label and codes [n]."""
        for name, rows in self._rows.items():
            for label in sorted({row.label for row in rows.values()}):
                features = unpack_rows(row for row in rows.values() if row.label == label)
                for number, group in enumerate(bisect_rows(features)):
                    codes = known.geometry.project(group)
                    yield name, f"{PROVISIONAL_PREFIX}{label}{number}", codes


def bisect_rows(features: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Split rows uint8 [n, width] into groups that lie far apart; a diffuse set stays whole.

    In a novel domain, samples nearest to one known label may be several kinds of thing.  Two-means
    (MacQueen 1967) is kept if it halves the squared distances, and repeated within each group.
    """
    rows = features.astype(np.float32)
    means = rows.mean(axis=0)[None]
    before = _squared_distances(rows, means)[:, 0]
    first = rows[before.argmax()]
    means = np.stack([first, rows[np.square(rows - first).sum(axis=1).argmax()]])
    for _ in range(BISECTION_ROUNDS):
        side = _squared_distances(rows, means).argmin(axis=1)
        counts = np.bincount(side, minlength=2)
        if counts.min() < GROUP_ROWS_MIN:
            return [features]
        means = np.stack([rows[side == at].mean(axis=0) for at in (0, 1)])
    after = _squared_distances(rows, means)
    if 2 * after.min(axis=1).sum() > before.sum():
        return [features]
    side = after.argmin(axis=1)
    return [group for at in (0, 1) for group in bisect_rows(features[side == at])]


def unpack_rows(rows: Iterable[UnlabelledRow]) -> NDArray[np.uint8]:
    """Stack the features of rows, at least one: uint8 [n, width]."""
    return np.array([np.frombuffer(row.features, np.uint8) for row in rows], np.uint8)


def _squared_distances(
    rows: NDArray[np.float32], means: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Squared Euclidean distances [n, means]."""
    return np.stack([np.square(rows - mean).sum(axis=1) for mean in means], axis=1)


def _log_ratios(
    memory: hdc.Memory, label: str, samples: hdc.Codes, domain: str
) -> NDArray[np.float64]:
    """Logarithms of distances to a domain over those to the other samples: [n, blocks]."""
    distances = memory.distances_held_out(SAMPLES_DOMAIN, label, samples)
    lone = memory.counts[SAMPLES_DOMAIN, label] == 1
    own = [
        at
        for at, key in enumerate(memory.keys)
        if key[0] == SAMPLES_DOMAIN and not (lone and key[1] == label)
    ]
    others = [at for at, key in enumerate(memory.keys) if key[0] == domain]
    far, near = distances[:, others].min(axis=1), distances[:, own].min(axis=1)
    return np.asarray(np.log((1 + far) / (1 + near)))


def _is_learned(name: str, rows: Sequence[UnlabelledRow], known: Knowledge, config: Config) -> bool:
    """Return whether knowledge alone recognises the newest observations of a novel domain."""
    if not rows:
        return True
    calibration, size, rate = known.calibration(), config.window, config.false_alarm_rate
    codes = known.geometry.project(unpack_rows(rows[-PROMOTION_WINDOWS * size :]))
    verdicts = [hdc.detect(codes[at], known.memory, calibration, rate) for at in range(len(codes))]
    parts = [verdicts[at : at + size] for at in range(0, len(verdicts), size)]
    found = [hdc.detect_window(part, calibration, rate) for part in parts]
    return all(one.known and one.domain == name for one in found)
