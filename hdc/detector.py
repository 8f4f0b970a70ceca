"""Novelty detection at a set false-alarm rate: verdicts on single samples and on windows."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import ceil, sqrt

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from . import native
from .calibration import ENOUGH, Calibration
from .errors import ConceptError
from .geometry import Codes
from .integers import ONE, Ints, combine, combine_shifted
from .joint import ScoredSamples, join_one_score, join_scores
from .label_counts import LabelCounts
from .memory import Memory
from .normal import upper_tail
from .prototypes import Key
from .switches import RAISED_SCORE, share_rate
from .time_statistics import Level, TimeStatistics, in_words, sample_p_value, window_scores

# With more concepts than MANY, all blocks are compared only for the SHORTLIST nearest by
# hypervector.  Both bound the time of a verdict; chosen by hand, effect not measured.
MANY = 32  # see above
SHORTLIST = 12  # see above


SCORE_MAX = 1 << 24
"""Above every joint score: each block counts at most 64 deviations of 1,024, and the weights of all
blocks add up to less than 2^16."""

LevelOf = Callable[[str, TimeStatistics], Level]
"""Returns the level of a stream's scores in a domain."""


class NotAttainable(msgspec.Struct, frozen=True):
    """The decision needs `needed` calibration samples, and there are `found`."""

    reason: str
    needed: int
    found: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one sample.

    `known` is None if the calibration cannot support the rate, or if the sample is `doubtful`: too
    near for a new one, but as far as samples of unknown classes are while labels have few samples.
    `shortfall` then says how many are missing.  `domain`
    and `label` always name the nearest concept.  `p_value` is the conformal p-value among
    `domain`'s held-out samples (Vovk et al. 2005), `score` the novelty against that concept, and
    `deviation` the score in standard deviations above the mean of samples nearest to that concept.
    """

    known: bool | None
    domain: str
    label: str
    score: int
    p_value: float
    shortfall: NotAttainable | None = None
    deviation: float = 0.0
    doubtful: bool = False


class WindowVerdict(msgspec.Struct, frozen=True):
    """The verdict on a window of samples.

    `score` is the mean deviation in standard errors, `p_value` its tail probability among known
    windows; other fields as in `Verdict`.
    """

    known: bool | None
    domain: str
    score: float
    p_value: float
    shortfall: NotAttainable | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The distances of one sample to the concepts of a memory, computed once for all uses.

    keys: the concepts compared, sorted; columns: theirs in the memory, None for all.  distances:
    int64 [concepts, blocks].  common: int64 [concepts], novelty with one scale for all concepts;
    own: novelty with each concept's own scale.  novelties: what `nearest` returns, None if it is
    still to be found.  joint: the calibration compared with, the joint score and its place in
    `keys`, None likewise.
    """

    codes: Codes
    keys: tuple[Key, ...]
    columns: NDArray[np.intp] | None
    distances: Ints
    common: Ints
    own: Ints
    novelties: dict[str, int] | None = None
    joint: tuple[Calibration, int, int] | None = None

    def nearest(self) -> dict[str, int]:
        """Return the sample's novelty to each domain compared, 1,024 a deviation."""
        if self.novelties is not None:
            return self.novelties
        found: dict[str, int] = {}
        for (domain, _), score in zip(self.keys, self.common.tolist(), strict=True):
            if score < found.get(domain, _FAR):
                found[domain] = score
        return found

    def restricted_to(self, keys: tuple[Key, ...], places: NDArray[np.intp]) -> "Comparison":
        """Return the comparison with a memory that holds only `keys`, at `places` of these."""
        return Comparison(
            codes=self.codes,
            keys=keys,
            columns=None,
            distances=self.distances[places],
            common=self.common[places],
            own=self.own[places],
        )


def detect(codes: Codes, memory: Memory, calibration: Calibration, rate: float = 0.01) -> Verdict:
    """Return the verdict on one sample; samples of known domains give false alarms at `rate`.

    With more than 32 concepts only the 12 nearest by hypervector are compared in full.  Raises
    ConceptError.
    """
    return decide(compare(codes, memory, calibration), memory, calibration, rate)


def examine(features: NDArray[np.uint8], memory: Memory, calibration: Calibration) -> Comparison:
    """Code one sample uint8 [width] and compute `compare` of it.  In C, what `nearest` and `decide`
    find comes in the same pass.  Raises as `project` and `compare` do."""
    made = _examine_in_c(features, memory, calibration)
    return made or compare(memory.geometry.project(features), memory, calibration)


def _examine_in_c(
    features: NDArray[np.uint8], memory: Memory, calibration: Calibration
) -> Comparison | None:
    """Compute `examine` in C, None if it cannot."""
    keys, geometry, kernel = memory.keys, memory.geometry, native.KERNEL
    fits = features.dtype == np.uint8 and features.shape == (geometry.width,)
    if kernel is None or not fits or not 0 < len(keys) <= MANY:
        return None
    layout = calibration.layout_for(memory)
    if layout is None:
        return None
    count, parts = len(keys), memory.parts
    blocks = 1 + len(geometry.blocks)
    bits = np.empty((1, geometry.words), dtype=np.uint64)
    values = np.empty((1, geometry.values), dtype=np.int64)
    size = count * blocks
    made = np.empty(size + 2 * count + 2 + len(parts), dtype=np.int64)
    if not kernel.decide(layout, np.ascontiguousarray(features), bits, values, made):
        return None
    score, place, *novelties = made[size + 2 * count :].tolist()
    return Comparison(
        codes=Codes(bits, values),
        keys=keys,
        columns=None,
        distances=made[:size].reshape(count, blocks),
        common=made[size : size + count],
        own=made[size + count : size + 2 * count],
        novelties=dict(zip(parts, novelties, strict=True)),
        joint=(calibration, score, place),
    )


def compare(codes: Codes, memory: Memory, calibration: Calibration) -> Comparison:
    """Compare one sample with all concepts of a memory, or with the 12 nearest of more than 32."""
    keys = memory.keys
    if not keys or len(codes) != 1:
        raise ConceptError(
            f"detecting expects one sample and a memory with concepts, found {len(codes)} and "
            f"{len(keys)}",
            "learn samples first, and give one row",
        )
    only = memory.nearest_by_bits(codes, SHORTLIST) if len(keys) > MANY else None
    compared = memory.compare(codes, calibration.all_scales(memory), only)
    if compared is None:
        distances = memory.distances(codes, only)[0]
        offset, deviations = calibration.offsets_and_deviations(memory)
        if only is not None:
            offset, deviations = offset[:, only], deviations[:, only]
        common, own = combine_shifted(distances, offset, deviations, memory.geometry.votes)
    else:
        distances, common, own = compared
    found = keys if only is None else tuple(keys[at] for at in only.tolist())
    return Comparison(
        codes=codes, keys=found, columns=only, distances=distances, common=common, own=own
    )


def detect_each(
    codes: Codes, memory: Memory, calibration: Calibration, rate: float = 0.01
) -> list[tuple[Comparison, Verdict]]:
    """Compute `compare` and `decide` for each of several samples, in one pass if the memory has few
    concepts."""
    keys = memory.keys
    if len(keys) > MANY or len(codes) < 2 or not keys:
        # In C each sample by itself is faster.
        shared = len(keys) > MANY and len(codes) > 1 and not native.is_native()
        found = (
            _compare_shortlists(codes, memory, calibration)
            if shared
            else [compare(codes[row], memory, calibration) for row in range(len(codes))]
        )
        return [(one, decide(one, memory, calibration, rate)) for one in found]
    distances = memory.distances(codes)
    shifted = calibration.offsets_and_deviations(memory)
    both = combine_shifted(distances[:, None], *shifted, memory.geometry.votes)
    domains = np.asarray([domain for domain, _ in keys])[both[:, 0].argmin(axis=1)]
    verdicts: dict[int, Verdict] = {}
    for domain in sorted(set(domains.tolist())):
        rows = np.flatnonzero(domains == domain)
        part, scales, near = calibration.domain_part(memory, domain)
        samples = ScoredSamples(memory.geometry, codes[rows])
        scores, places = join_scores(distances[rows, part], scales, samples, near)
        for row, score, place in zip(rows.tolist(), scores.tolist(), places.tolist(), strict=True):
            verdicts[row] = verdict_at(keys[part.start + place], score, calibration, rate)
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


def _compare_shortlists(codes: Codes, memory: Memory, calibration: Calibration) -> list[Comparison]:
    """Compute `compare` for each of several samples with the nearest of many concepts: distances to
    a concept are computed for all samples in one pass."""
    keys = memory.keys
    each = [memory.nearest_by_bits(codes[row], SHORTLIST) for row in range(len(codes))]
    every = np.unique(np.concatenate(each))
    distances = memory.distances(codes, every)
    offset, deviations = calibration.offsets_and_deviations(memory)
    made = []
    for row, only in enumerate(each):
        near = distances[row, np.searchsorted(every, only)]
        shifted = offset[:, only], deviations[:, only]
        common, own = combine_shifted(near, *shifted, memory.geometry.votes)
        found = tuple(keys[at] for at in only.tolist())
        made.append(
            Comparison(
                codes=codes[row], keys=found, columns=only, distances=near, common=common, own=own
            )
        )
    return made


def decide(
    compared: Comparison,
    memory: Memory,
    calibration: Calibration,
    rate: float = 0.01,
    level: LevelOf | None = None,
) -> Verdict:
    """Return the verdict on a sample that was compared with this memory.

    level: see `verdict_at`.
    """
    if compared.joint is not None and compared.joint[0] is calibration:
        _, score, place = compared.joint
        return verdict_at(compared.keys[place], score, calibration, rate, level)
    # The domain is chosen with one scale for all concepts: with separate scales, domains with a
    # wide deviation would claim the samples of others.  The label and the novelty within the
    # domain use each concept's own scale.
    keys, samples = compared.keys, ScoredSamples(memory.geometry, compared.codes)
    domain = keys[int(compared.common.argmin())][0]
    if compared.columns is None:
        part, scales, near = calibration.domain_part(memory, domain)
    else:
        part = _columns_of(keys, domain)
        columns = compared.columns[part]
        scales = calibration.scales_for(memory)[columns]
        near = calibration.exemplars_for(memory, columns.tolist())
    distances, scores = compared.distances[part], compared.own[part]
    score, place = join_one_score(distances, scores, scales, samples, near)
    return verdict_at(keys[part.start + place], score, calibration, rate, level)


def _columns_of(keys: Sequence[Key], domain: str) -> slice:
    """Return the range of a domain's concepts; they are adjacent because keys are sorted."""
    names = [name for name, _ in keys]
    first = names.index(domain)
    return slice(first, first + names.count(domain))


def novelty(codes: Codes, memory: Memory, calibration: Calibration) -> Ints:
    """Return the novelty scores of samples, int64 [n], as `detect` computes them."""
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
    """Return the joint score of each sample against columns of one domain, and its column."""
    scales = calibration.scales_for(memory)[columns]
    near = calibration.exemplars_for(memory, columns.tolist())
    scores, places = join_scores(distances, scales, ScoredSamples(memory.geometry, codes), near)
    return scores, columns[places]


def verdict_at(
    key: Key,
    score: int,
    calibration: Calibration,
    rate: float = 0.01,
    level: LevelOf | None = None,
) -> Verdict:
    """Return the verdict on a sample with this joint score and nearest concept.

    level: returns the level of its stream's scores in a domain whose samples have a known order in
    time; by default that of enrolment.  `at_level` changes it afterwards.
    """
    reference = calibration.reference_scores.get(key)
    deviation = (score - reference.centre) / reference.spread if reference else 0.0
    statistics = calibration.in_time.get(key[0])
    if statistics is not None and (level or reference):
        start = level(key[0], statistics) if level else statistics.initial
        p_value = sample_p_value(statistics, deviation, start, rate)
    else:
        held = calibration.scores.get(key[0], _NO_SCORES)
        at_least = len(held) - bisect_left(held.data, score)
        p_value = (1 + at_least) / (1 + len(held))
    shortfall, doubtful = find_shortfall(key[0], calibration, rate), False
    if not shortfall and p_value > rate:
        shortfall = _find_doubt(key[0], score, calibration)
        doubtful = shortfall is not None
    return Verdict(
        known=None if shortfall else p_value > rate,
        domain=key[0],
        label=key[1],
        score=score,
        p_value=p_value,
        shortfall=shortfall,
        deviation=deviation,
        doubtful=doubtful,
    )


def known_limit(key: Key, calibration: Calibration, rate: float = 0.01) -> int:
    """Return the highest joint score that counts as known where this concept is the nearest, at the
    level of enrolment; `SCORE_MAX` if the calibration cannot support the rate.  Doubt is left out:
    a doubtful sample is one that may be new although its score is not higher."""
    if find_shortfall(key[0], calibration, rate):
        return SCORE_MAX
    low, high = -1, SCORE_MAX
    while high - low > 1:
        between = (low + high) // 2
        if verdict_at(key, between, calibration, rate).p_value > rate:
            low = between
        else:
            high = between
    return low


def at_level(verdict: Verdict, calibration: Calibration, level: LevelOf, rate: float) -> Verdict:
    """Return a verdict as it is at another level of its stream's scores; unchanged for a domain
    whose samples have no known order in time."""
    statistics = calibration.in_time.get(verdict.domain)
    if statistics is None:
        return verdict
    at = level(verdict.domain, statistics)
    p_value = sample_p_value(statistics, verdict.deviation, at, rate)
    if verdict.known is None and not verdict.doubtful:
        return replace(verdict, p_value=p_value)
    doubt = _find_doubt(verdict.domain, verdict.score, calibration) if p_value > rate else None
    return replace(
        verdict,
        p_value=p_value,
        known=None if doubt else p_value > rate,
        shortfall=doubt,
        doubtful=doubt is not None,
    )


def detect_window(
    verdicts: Sequence[Verdict],
    calibration: Calibration,
    rate: float = 0.01,
    level: LevelOf | None = None,
    change: Callable[[], Ints | None] | None = None,
    labels: LabelCounts | None = None,
) -> WindowVerdict:
    """Return the verdict on a window of at least one sample of one stream, with any mix of labels.

    Deviations are standardised per concept, so that a window with few labels is as typical as a
    mixed one.  Where the domain's samples have a known order in time, the variance of their mean is
    that of real windows, and they are compared with the level that `level` returns for the domain,
    by default that of enrolment.  change: returns that from the observations before, see
    `switches.changes`, None if there are too few; it counts if the window is above its level at
    all, and shares the rate with the window's own score (`switches.share_rate`).  Otherwise it is
    1/n of the window plus, per concept, 1/n of the calibration samples behind its reference score,
    and skewness is corrected (Hall 1992).  labels: how many of
    the verdicts name each concept, if that is known already.
    """
    if not verdicts:
        raise ConceptError("detecting expects a window of samples, found none", "give at least one")
    if labels is None:
        labels = LabelCounts((one.domain, one.label) for one in verdicts)
    domain = labels.domain
    statistics = calibration.in_time.get(domain)
    if statistics is None:
        score, p_value = _independent(verdicts, labels, domain, calibration)
    else:
        start = statistics.initial if level is None else level(domain, statistics)
        deviations = [one.deviation for one in verdicts]
        shares = labels.squares / labels.size**2
        score, if_certain = window_scores(statistics, deviations, shares, start)
        p_value = upper_tail(score)
        switches = calibration.switches.get(domain)
        if change is not None and switches is not None:
            moved = change() if if_certain > RAISED_SCORE else None
            changed = None if moved is None else switches.p_value(moved, rate)
            # A stream measures how its windows vary where facts lie farther apart than it does.
            p_value = share_rate(p_value, changed, consecutive=not start.window_variance)
    shortfall = find_shortfall(domain, calibration, rate)
    return WindowVerdict(None if shortfall else p_value > rate, domain, score, p_value, shortfall)


def _independent(
    verdicts: Sequence[Verdict], labels: LabelCounts, domain: str, calibration: Calibration
) -> tuple[float, float]:
    """Return score and p-value of a window of independent samples."""
    # `sum` adds floats with compensation from Python 3.12 on; digests must not depend on that.
    total = 0.0
    for verdict in verdicts:
        total += verdict.deviation
    size = len(verdicts)
    variance = 1 / size
    references, counts = calibration.reference_scores, labels.counts
    for key in labels.keys:
        reference = references.get(key)
        share = counts[key] / size
        variance += share * share / (reference.count if reference else 1)
    score = total / size / sqrt(variance)
    skew = calibration.skews.get(domain, 0) / ONE / sqrt(size)
    return score, _tail(score, skew)


def _tail(score: float, skew: float) -> float:
    """Return the upper tail probability of a mean with this skewness, by the first Cornish-Fisher
    correction.

    Beyond 3 / skew the correction is no longer monotonic: a higher score would look more typical
    or, with negative skewness, a lower one more novel.
    """
    if skew > 0:
        score = min(score, 3 / skew)
    elif skew < 0:
        score = max(score, 3 / skew)
    return upper_tail(score - skew * (score * score - 1) / 6)


def find_shortfall(domain: str, calibration: Calibration, rate: float) -> NotAttainable | None:
    """Return why a domain's calibration cannot support a false-alarm rate; None if it can."""
    held, place = calibration.noted, (domain, rate)
    if place not in held:
        held[place] = _compute_shortfall(domain, calibration, rate)
    found: NotAttainable | None = held[place]
    return found


def _compute_shortfall(domain: str, calibration: Calibration, rate: float) -> NotAttainable | None:
    needed = ceil(1 / rate) - 1
    held = len(calibration.scores.get(domain, _NO_SCORES))
    statistics = calibration.in_time.get(domain)
    found = held if statistics is None else min(held, statistics.effective)
    if found >= needed:
        return None
    missing = ceil(held * (needed - found) / max(1, found))
    more = f"record {in_words(missing, statistics.interval_ns if statistics else 0)} more"
    if statistics is not None and found < held:
        reason = (
            f"a rate of {rate:g} needs {needed} independent samples of {domain!r}; the {held} found"
            f" follow each other so closely that they count as {found}: {more} at the same pace"
        )
    else:
        reason = f"a rate of {rate:g} needs {needed} samples of {domain!r}, found {held}: {more}"
    if statistics is not None and statistics.sources:
        sources = ceil(statistics.sources * missing / held)
        reason += f", as in {sources} recordings or subjects like the {statistics.sources} so far"
    return NotAttainable(reason, needed, found)


def _find_doubt(domain: str, score: int, calibration: Calibration) -> NotAttainable | None:
    """Return why a sample with this score may be of an unknown class; None if it is near enough."""
    if score <= calibration.doubts.get(domain, score):
        return None
    held, place = calibration.noted, (domain, 0.0)
    if place not in held:
        held[place] = _describe_doubt(domain, calibration)
    found: NotAttainable | None = held[place]
    return found


def _describe_doubt(domain: str, calibration: Calibration) -> NotAttainable:
    found = len(calibration.scores[domain])
    labels = sum(name == domain for name, _ in calibration.keys)
    reason = (
        f"an unknown class can come as near as this to {domain!r}, and {found // labels} samples "
        f"of each label cannot tell; from {ENOUGH} on it is decided"
    )
    return NotAttainable(reason, ENOUGH * labels, found)


_FAR = np.iinfo(np.int64).max
_NO_SCORES: Ints = np.empty(0, dtype=np.int64)
