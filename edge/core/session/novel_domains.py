"""Novel domains: domains that streams have entered and that have no facts yet.

Their unlabelled observations stand in for facts.  Each joins a provisional concept, named after the
known label it is nearest to, so that a novel domain is recognised when any stream returns to it.
All of this is session state; nothing here reaches a ledger or a digest.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import fsum, sqrt
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import hdc

from .. import limits
from ..config import Config
from ..knowledge import Knowledge
from ..structs import FrozenStruct

PROVISIONAL_PREFIX: Final = "?"
"""First character of the labels of provisional concepts."""

SAMPLES_DOMAIN: Final = ""
"""Domain of the samples themselves while their separation from a domain is measured; no real domain
has an empty name."""

SEPARATION_MIN: Final = 1.06
"""How many times farther from a domain than from each other samples must lie to be separate, before
a geometry is fitted.  Samples of the domain itself come out below 1.  Tuned on PACS."""

YOUNG_SEPARATION_MIN: Final = 1.25
"""The same for a domain of at most `YOUNG_SAMPLES`, which cannot hold its whole variety yet.  Tuned
on PACS."""

YOUNG_SAMPLES: Final = 64
"""Samples up to which a domain is young, before a geometry is fitted.  Chosen by hand; effect not
measured."""

SHIFT_MIN: Final = 0.08
"""Squared shift of a domain's mean over the squared spread of single samples at which it counts as
another domain.  Chosen on the development sets of docs/explanation/streams.md, like the next."""

CHANCE_DEVIATIONS: Final = 2.5
"""Standard deviations of the squared shift that chance may explain."""

CORRELATION_MAX: Final = 0.8
"""Correlation of neighbours beyond which a lasting shift could never be told from slow variation.
Chosen by hand; effect not measured."""

RECORDINGS_MIN: Final = 3
"""Fewest recordings that can serve as independent samples.  Chosen by hand; effect not measured."""

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


Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


class UnlabelledRow(FrozenStruct, frozen=True):
    """An observation of a novel domain.  label: the known label it is nearest to.  features: uint8,
    as bytes.  recording: see `SampleOrigin`."""

    label: str
    features: bytes
    recording: str = ""


class ReferenceModel(msgspec.Struct, frozen=True, eq=False):
    """The model that observations are compared with: knowledge, overlaid with novel domains.

    learned: columns of knowledge's concepts in `memory`; None if `memory` is that of knowledge.
    """

    memory: hdc.Memory
    calibration: hdc.Calibration
    learned: NDArray[np.intp] | None = None

    def compare(
        self, features: NDArray[np.uint8], known: Knowledge
    ) -> tuple[hdc.Comparison, hdc.Comparison]:
        """Compare one sample uint8 [width] with the learned domains, and with novel ones included;
        distances are computed once if both comparisons cover all concepts."""
        every = hdc.examine(features, self.memory, self.calibration)
        if self.learned is None:
            return every, every
        if every.columns is not None:
            return hdc.compare(every.codes, known.memory, known.calibration()), every
        return every.restricted_to(known.memory.keys, self.learned), every

    def known_scores(self, compared: Sequence[hdc.Comparison | None]) -> Ints | None:
        """Return the scores int64 [n, concepts] of samples that were compared with all concepts of
        this memory, otherwise None.

        Streams assess their observations again whenever the sums change, so that scores for the
        same concepts are current.
        """
        keys = self.memory.keys
        # A memory returns the same object while its concepts stay the same.
        found = [one.common for one in compared if one is not None and one.keys is keys]
        if len(found) < len(compared):
            return None
        return np.concatenate(found).reshape(len(found), len(keys))

    def shift(
        self,
        samples: Iterable[hdc.Codes],
        domain: str,
        recordings: Sequence[str],
        scores: Ints | None = None,
    ) -> float:
        """Return how far the mean of consecutive single samples, at least two, has moved from a
        domain: the squared shift over the squared spread of single samples, in multiples of what
        an unmoved domain may reach.

        Each sample is compared with its nearest concept, so that the mix of labels does not count.
        The mean of n independent residuals has 1/n of their squared length (Bai & Saranadasa 1996,
        "Effect of high dimension", section 3, without the division by its deviation); samples of
        one recording count as one, neighbours in time as their correlation says, and few facts
        behind a concept add their own uncertainty.  recordings: of the samples, "" if unknown.
        scores: see `known_scores`.
        """
        residuals = self.memory.residuals(samples, domain, scores)
        if not self.memory.geometry.blocks:
            held = sum(n for (name, _), n in self.memory.counts.items() if name == domain)
            needed = SEPARATION_MIN if held > YOUNG_SAMPLES else YOUNG_SEPARATION_MIN
            codes = hdc.Codes.concat(residuals.codes)
            return (self._separation(codes, residuals.columns, domain) - 1) / (needed - 1)
        # All that follows needs only inner products of residuals, which are sums of whole numbers.
        found = _moved(residuals, recordings)
        # `sum` adds floats with compensation from Python 3.12 on.
        return fsum(moved for moved, _ in found) / fsum(chance for _, chance in found)

    def _separation(self, samples: hdc.Codes, columns: NDArray[np.intp], domain: str) -> float:
        """Return how many times farther samples are from a domain than from each other, for a
        geometry that has no means to compare.

        columns: of the concept that each would be a part of.  Each sample is compared with the
        concepts of all others, so that a random part of the domain itself yields less than 1.
        """
        memory = self.memory.part(domain)
        kinds = sorted(set(columns.tolist()))
        for kind in kinds:
            memory.add(SAMPLES_DOMAIN, str(kind), samples[columns == kind])
        ratios = [
            _log_ratios(memory, str(kind), samples[columns == kind], domain) for kind in kinds
        ]
        return float(np.exp(np.concatenate(ratios).mean()))


class NovelDomains:
    """Novel domains by name, bounded: the one not visited for longest is dropped first."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, OrderedDict[str, UnlabelledRow]] = OrderedDict()
        self._added = 0
        self._model: tuple[int, ReferenceModel] | None = None

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __len__(self) -> int:
        return len(self._rows)

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


def _uncertainty(residuals: hdc.Residuals) -> float:
    """Return the squared error of a mean of concept means: for each concept, its squared share of
    the samples over the samples behind it."""
    columns, size = residuals.columns.tolist(), len(residuals.columns)
    shares = dict.fromkeys(columns, 0)
    for column in columns:
        shares[column] += 1
    # Each of a concept's samples adds its part of the squared share.
    pairs = zip(columns, residuals.counts.tolist(), strict=True)
    return fsum([shares[column] / count for column, count in pairs]) / size / size


class _Spread(msgspec.Struct, frozen=True, kw_only=True):
    """What the mean of `count` consecutive rows follows from.

    length: mean squared length of a row.  shift: squared length of the mean.  total, beside,
    crossed: of the rows less their mean, the sums of the squared lengths, of the products of
    neighbours, and of the squared products of two different rows.
    """

    count: int
    length: float
    shift: float
    total: float
    beside: float
    crossed: float


def _moved(residuals: hdc.Residuals, recordings: Sequence[str]) -> list[tuple[float, float]]:
    """Return, for each block, how far the mean of residuals lies from 0, and how far chance may
    move it: both squared, over the squared length of single rows.

    Where at least `RECORDINGS_MIN` recordings are known, their means count as rows.
    """
    names, uncertainty = list(dict.fromkeys(recordings)), _uncertainty(residuals)
    if "" in names or len(names) < RECORDINGS_MIN:
        spreads = _spreads(residuals.terms(), len(recordings))
    else:
        spreads = _spreads_of_recordings(residuals.blocks(), [names.index(n) for n in recordings])
    made = []
    for one in spreads:
        # One unit of resolution, so that constant columns are not divided by zero.
        length = one.length + 1
        # Few facts explain a shift of their own spread, however far the samples lie.
        unsure = uncertainty * min(1.0, one.total / one.count / length)
        made.append((one.shift / length, _chance(one, unsure)))
    return made


def _spreads(terms: Reals, count: int) -> Iterator[_Spread]:
    """Yield the spread of equally weighted rows in each block.  terms: of `hdc.Residuals`."""
    for trace, every, total, beside, crossed in terms.tolist():
        yield _Spread(
            count=count,
            length=trace / count,
            shift=every / count / count,
            total=total,
            beside=beside,
            crossed=crossed,
        )


def _spreads_of_recordings(blocks: Sequence[Reals], owners: Sequence[int]) -> Iterator[_Spread]:
    """Yield the spread of the means of recordings in each block [n, width], each weighted by its
    samples.  owners: of the recordings, [n]."""
    owner = np.array(owners)
    shares = np.bincount(owner) / len(owner)
    count = len(shares)
    for rows in blocks:
        means = np.stack([rows[owner == at].mean(axis=0) for at in range(count)])
        products = means @ means.T
        _, _, total, beside, crossed = hdc.terms_of(products[None])[0].tolist()
        yield _Spread(
            count=count,
            length=float(np.diagonal(products) @ shares),
            shift=float(shares @ products @ shares),
            total=total,
            beside=beside,
            crossed=crossed,
        )


def _chance(rows: _Spread, uncertainty: float) -> float:
    """Return the squared shift, over the squared spread, up to which consecutive rows are taken for
    unmoved.  uncertainty: squared error of the mean that they are compared with."""
    count, total = rows.count, rows.total
    expected = 1 / _independent(rows) + uncertainty
    # The squared length of a mean varies by 2 / effective dimension (Bai & Saranadasa 1996).
    # Rows around their own mean have products of -total / n / (n - 1) on average.
    crossed = rows.crossed / (count * (count - 1)) - (total / count / (count - 1)) ** 2
    relative = sqrt(2 * max(0.0, crossed)) / (total / count) if total > 0 else 0.0
    return max(SHIFT_MIN + expected, expected * (1 + CHANCE_DEVIATIONS * relative))


def _independent(rows: _Spread) -> float:
    """Return how many independent samples centred, consecutive rows are worth: n (1 - r) / (1 + r),
    where r is the correlation of neighbours (Bartlett 1946)."""
    count = rows.count
    if count < 3 or rows.total <= 0:
        return count
    # The correlation of independent rows around their own mean is -1 / n.
    correlation = rows.beside / rows.total + 1 / count
    correlation = min(max(correlation, 0.0), CORRELATION_MAX)
    return count * (1 - correlation) / (1 + correlation)


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
