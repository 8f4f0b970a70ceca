"""Verdicts: known or new, of which concept, at a false-alarm rate that was ordered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, erfc, sqrt
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from .calibration import Calibration
from .codes import Codes
from .errors import ConceptError
from .integers import Ints
from .joint import ScoredSamples, join_one_score, join_scores
from .memory import Key, Memory
from .scoring import combine, combine_on

# With more concepts than MANY, all blocks are looked at only for the nearest by hypervector.
MANY = 32
SHORTLIST = 12


@dataclass(frozen=True, slots=True)
class NotAttainable:
    """The ordered rate needs more calibration samples: `needed` of them, where `found` exist."""

    reason: str
    needed: int
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one sample is taken for.

    `known` is None where `shortfall` says why the ordered rate can't be kept. `domain` and `label`
    name the nearest concept in every case. `p_value` is the conformal p-value among `domain`'s
    held-out samples (Vovk et al. 2005), `score` the novelty against that concept, `deviation` the
    score in spreads above what samples nearest to that concept usually get.
    """

    known: bool | None
    domain: str
    label: str
    score: int
    p_value: float
    shortfall: NotAttainable | None = None
    deviation: float = 0.0


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """What a window of samples is taken for: `score` is the mean deviation in standard errors,
    `p_value` its tail probability among known windows; other fields as in `Verdict`."""

    known: bool | None
    domain: str
    score: float
    p_value: float
    shortfall: NotAttainable | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """One sample beside the concepts of a memory, measured once for all that is asked of it.

    keys: of the concepts compared with, sorted; columns: theirs in the memory, None for all.
    distances: int64 [concepts, blocks].  common: int64 [concepts], novelty on one scale for all;
    own: on each concept's own scale.
    """

    codes: Codes
    keys: tuple[Key, ...]
    columns: NDArray[np.intp] | None
    distances: Ints
    common: Ints
    own: Ints

    def nearest(self) -> dict[str, int]:
        """Novelty of the sample to each domain compared with, 1,024 a spread."""
        found: dict[str, int] = {}
        for (domain, _), score in zip(self.keys, self.common.tolist(), strict=True):
            if score < found.get(domain, _FAR):
                found[domain] = score
        return found

    def among(self, keys: tuple[Key, ...], places: NDArray[np.intp]) -> "Comparison":
        """The same for a memory that holds only `keys`, which are at `places` of these."""
        return Comparison(
            codes=self.codes,
            keys=keys,
            columns=None,
            distances=self.distances[places],
            common=self.common[places],
            own=self.own[places],
        )


def detect(codes: Codes, memory: Memory, calibration: Calibration, rate: float = 0.01) -> Verdict:
    """The verdict on one sample, with false alarms at `rate` on samples of known domains.

    With more than 32 concepts only the 12 nearest by hypervector are compared in full.
    """
    return decide(compare(codes, memory, calibration), memory, calibration, rate)


def compare(codes: Codes, memory: Memory, calibration: Calibration) -> Comparison:
    """One sample beside all concepts of a memory, or the 12 nearest of more than 32."""
    keys = memory.keys
    if not keys or len(codes) != 1:
        raise ConceptError(
            f"detecting expects one sample and a memory with concepts, found {len(codes)} and "
            f"{len(keys)}",
            "learn first, and give one row",
        )
    only = memory.nearest_by_bits(codes, SHORTLIST) if len(keys) > MANY else None
    distances = memory.distances(codes, only)[0]
    offset, spreads = calibration.both(memory)
    if only is not None:
        offset, spreads = offset[:, only], spreads[:, only]
    common, own = combine_on(distances, offset, spreads, memory.geometry.votes)
    found = keys if only is None else tuple(keys[at] for at in only.tolist())
    return Comparison(
        codes=codes, keys=found, columns=only, distances=distances, common=common, own=own
    )


def detect_each(
    codes: Codes, memory: Memory, calibration: Calibration, rate: float = 0.01
) -> list[tuple[Comparison, Verdict]]:
    """What `compare` and `decide` say of each of several samples, all at once where the memory has
    few concepts."""
    keys = memory.keys
    if len(keys) > MANY or len(codes) < 2 or not keys:
        found = [compare(codes[row], memory, calibration) for row in range(len(codes))]
        return [(one, decide(one, memory, calibration, rate)) for one in found]
    distances = memory.distances(codes)
    both = combine_on(distances[:, None], *calibration.both(memory), memory.geometry.votes)
    domains = np.asarray([domain for domain, _ in keys])[both[:, 0].argmin(axis=1)]
    verdicts: dict[int, Verdict] = {}
    for domain in sorted(set(domains.tolist())):
        rows = np.flatnonzero(domains == domain)
        mine, scales, near = calibration.part(memory, domain)
        samples = ScoredSamples(memory.geometry, codes[rows])
        scores, places = join_scores(distances[rows, mine], scales, samples, near)
        for row, score, place in zip(rows.tolist(), scores.tolist(), places.tolist(), strict=True):
            verdicts[row] = judge(keys[mine.start + place], score, calibration, rate)
    return [
        (
            Comparison(
                codes=codes[row],
                keys=keys,
                columns=None,
                distances=distances[row],
                common=both[row, 0],
                own=both[row, 1],
            ),
            verdicts[row],
        )
        for row in range(len(codes))
    ]


def decide(
    compared: Comparison, memory: Memory, calibration: Calibration, rate: float = 0.01
) -> Verdict:
    """The verdict on a sample that was compared with this memory."""
    # Which domain: on one scale for all, since a domain of wide spread would else take what is
    # others'. How new there, and which label: on each concept's own scale.
    keys, samples = compared.keys, ScoredSamples(memory.geometry, compared.codes)
    domain = keys[int(compared.common.argmin())][0]
    if compared.columns is None:
        mine, scales, near = calibration.part(memory, domain)
    else:
        mine = _side_by_side(keys, domain)
        columns = compared.columns[mine]
        scales = calibration.scales_for(memory)[columns]
        near = calibration.near_for(memory, columns.tolist())
    distances, scores = compared.distances[mine], compared.own[mine]
    score, place = join_one_score(distances, scores, scales, samples, near)
    return judge(keys[mine.start + place], score, calibration, rate)


def _side_by_side(keys: Sequence[Key], domain: str) -> slice:
    """Where the concepts of a domain are: keys are sorted, so they lie side by side."""
    names = [name for name, _ in keys]
    first = names.index(domain)
    return slice(first, first + names.count(domain))


def novelty(codes: Codes, memory: Memory, calibration: Calibration) -> Ints:
    """How new samples are, int64 [n]: the scores that `detect` gives each, all at once."""
    keys = memory.keys
    if len(keys) > MANY or not len(codes):
        found = (detect(codes[row], memory, calibration) for row in range(len(codes)))
        return np.asarray([verdict.score for verdict in found], dtype=np.int64)
    distances, geometry = memory.distances(codes), memory.geometry
    common = combine(distances, geometry.scales, geometry.votes).argmin(axis=1)
    domains = np.asarray([domain for domain, _ in keys])
    made = np.empty(len(codes), dtype=np.int64)
    for domain in sorted(set(domains[common].tolist())):
        rows = np.flatnonzero(domains[common] == domain)
        columns = np.flatnonzero(domains == domain)
        part = distances[np.ix_(rows, columns)]
        made[rows] = _lowest(codes[rows], part, columns, memory, calibration)[0]
    return made


def _lowest(
    codes: Codes,
    distances: Ints,
    columns: NDArray[np.intp],
    memory: Memory,
    calibration: Calibration,
) -> tuple[Ints, NDArray[np.intp]]:
    """The joint score of each sample against columns of one domain, and the column it is for."""
    scales = calibration.scales_for(memory)[columns]
    near = calibration.near_for(memory, columns.tolist())
    scores, places = join_scores(distances, scales, ScoredSamples(memory.geometry, codes), near)
    return scores, columns[places]


def judge(key: Key, score: int, calibration: Calibration, rate: float = 0.01) -> Verdict:
    """The verdict on a sample whose nearest concept is `key`, at a joint score."""
    held = calibration.scores.get(key[0], _NOTHING)
    at_least = len(held) - int(held.searchsorted(score, side="left"))
    p_value = (1 + at_least) / (1 + len(held))
    usual = calibration.usual_of(key)
    deviation = (score - usual.centre) / usual.spread if usual else 0.0
    shortfall = _shortfall(key[0], len(held), rate)
    known = None if shortfall else p_value > rate
    return Verdict(
        known=known,
        domain=key[0],
        label=key[1],
        score=score,
        p_value=p_value,
        shortfall=shortfall,
        deviation=deviation,
    )


def detect_window(
    verdicts: Sequence[Verdict], calibration: Calibration, rate: float = 0.01
) -> WindowVerdict:
    """The verdict on a window of at least one sample of one stream, whatever its mix of labels.

    Deviations are standardised per concept, so that a window of few labels is as usual as a mixed
    one; their mean has the variance 1/n of the window and, per concept, 1/n of the calibration
    samples that its usual score was estimated from; its skewness is corrected for (Hall 1992).
    """
    if not verdicts:
        raise ConceptError("detecting expects a window of samples, found none", "give at least one")
    labels = Counter(map(_KEY, verdicts))
    domains: dict[str, int] = {}
    for (name, _), count in labels.items():
        domains[name] = domains.get(name, 0) + count
    # Not `sum`, which adds floats in another way from Python 3.12 on.
    total = 0.0
    for deviation in map(_DEVIATION, verdicts):
        total += deviation
    most = max(domains.values())
    domain = min(name for name, count in domains.items() if count == most)
    found = len(calibration.scores.get(domain, _NOTHING))
    shortfall = _shortfall(domain, found, rate)
    size = len(verdicts)
    variance = 1 / size
    usuals = calibration.usuals
    for key in sorted(labels):
        usual = usuals.get(key)
        variance += (labels[key] / size) ** 2 / (usual.count if usual else 1)
    score = total / size / sqrt(variance)
    skew = calibration.skews.get(domain, 0) / 1024 / sqrt(size)
    p_value = _tail(score, skew)
    return WindowVerdict(None if shortfall else p_value > rate, domain, score, p_value, shortfall)


def _tail(score: float, skew: float) -> float:
    """Upper tail of a mean with that skewness: normal after the first Cornish-Fisher correction.

    Beyond 3 / skew the correction would turn round: a higher score would count as more usual, or,
    where the skewness is negative, a lower one as newer.
    """
    if skew > 0:
        score = min(score, 3 / skew)
    elif skew < 0:
        score = max(score, 3 / skew)
    return erfc((score - skew * (score * score - 1) / 6) / sqrt(2)) / 2


def _shortfall(domain: str, found: int, rate: float) -> NotAttainable | None:
    needed = ceil(1 / rate) - 1
    if found >= needed:
        return None
    reason = f"a rate of {rate:g} needs {needed} samples of {domain!r}, found {found}"
    return NotAttainable(reason, needed, found)


_KEY = attrgetter("domain", "label")
_DEVIATION = attrgetter("deviation")
_FAR = np.iinfo(np.int64).max
_NOTHING: Ints = np.empty(0, dtype=np.int64)
