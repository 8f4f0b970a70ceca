"""Samples of facts in time order: whole runs of neighbours, and the blocks that calibration holds
out.

Facts sampled by a hash of their ids are far apart in time, and hide how alike neighbours are.  So
whole runs are sampled by a hash of the run, which depends on the set of facts alone.
"""

import hashlib
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from ..facts import FactBatch, Ledger, Span, join_batches, sample_facts
from ..recalibration import OFFSET_MAX, CalibrationStatus

TIMED_FACTS_MIN: Final = 10 * hdc.BLOCKS
"""Fewest facts of a domain that are held out in blocks: ten a block.  With fewer, the rate that is
chosen by default is not attainable in any case."""

TIMES_MIN: Final = 2 * hdc.BLOCKS
"""Fewest different capture times: with fewer, the times are those of an import, not of the
measurements."""

UNTIMED_SHARE: Final = 10
"""A domain is in time order if at most one in this many of its facts has no time: these count as
from the time of another fact.  Chosen by hand: what they hide of drift is then small."""

RUN_FACTS: Final = 64
"""Facts of a run, about: a few windows, so that the variance of windows can be measured."""

Orders = dict[tuple[str, str], hdc.TimeOrder]


def sample_in_time(
    ledger: Ledger, domain: str, count: int, size: int, without: AbstractSet[str] = frozenset()
) -> FactBatch:
    """Return at most `size` of a domain's `count` facts, sorted by id: whole runs of neighbours in
    time if their times are known, otherwise by a hash of their ids.  without: ids that are left
    out.

    Cost: one pass over the times if not all facts are returned, and the sampled facts.
    """
    if count > size:
        times = ledger.times(domain, without)
        if _is_timed(times):
            spans, fits = _runs(times[times > 0], size)
            found = ledger.between(domain, spans, without)
            batches = tuple(found) if fits else ()
            return join_batches(batches) if batches else sample_facts(found, size)
    return ledger.sample(size, (domain,), without)


def orders_in_time(rows: FactBatch) -> Orders:
    """Return the order in time of each concept, without the domains where more than one fact in
    `UNTIMED_SHARE` has no time."""
    made: Orders = {}
    domains = np.asarray(rows.domains, dtype=np.str_)
    for domain in sorted(set(rows.domains)):
        own = np.flatnonzero(domains == domain).tolist()
        sources = _sources(rows, own)
        times = rows.captured_at_ns[own]
        if len(own) < TIMED_FACTS_MIN or not (
            _is_timed(times) or ("" not in sources and len(set(sources)) >= hdc.BLOCKS)
        ):
            continue
        labels, ids = [rows.labels[row] for row in own], [rows.ids[row] for row in own]
        filled = _filled(times, ids)
        for label, order in hdc.order_in_time(labels, filled, sources, ids).items():
            made[domain, label] = order
    return made


def status_of(domain: str, calibration: hdc.Calibration, rate: float) -> CalibrationStatus:
    """Return how a learned domain was calibrated."""
    found = calibration.in_time.get(domain)
    samples = len(calibration.scores.get(domain, ()))
    shortfall = hdc.find_shortfall(domain, calibration, rate)
    return CalibrationStatus(
        domain=domain,
        exchangeable=found is None,
        samples=samples,
        effective_samples=samples if found is None else found.effective,
        blocks=0 if found is None else found.blocks,
        block_samples=0 if found is None else found.block_samples,
        absorbed=0.0 if found is None else OFFSET_MAX + hdc.window_limit(found, rate),
        shortfall=shortfall.reason if shortfall else "",
    )


def _sources(rows: FactBatch, own: list[int]) -> list[str]:
    """Return what is held out as a whole: subjects, since those of one are alike in all recordings,
    or, where facts name too few, recordings."""
    subjects = [rows.subjects[row] for row in own]
    if "" not in subjects and len(set(subjects)) >= hdc.BLOCKS:
        return subjects
    return [rows.recordings[row] for row in own]


def _is_timed(times: NDArray[np.int64]) -> bool:
    known = times[times > 0]
    few_missing = (len(times) - len(known)) * UNTIMED_SHARE <= len(times)
    return few_missing and len(np.unique(known)) >= TIMES_MIN


def _filled(times: NDArray[np.int64], ids: list[str]) -> NDArray[np.int64]:
    """Return times with those of other facts, chosen by a hash of the id, where none is known."""
    known, missing = np.sort(times[times > 0]), np.flatnonzero(times <= 0).tolist()
    if not (missing and len(known)):
        return times
    made = times.copy()
    for row in missing:
        digest = hashlib.blake2b(ids[row].encode(), digest_size=8).digest()
        made[row] = known[int.from_bytes(digest, "little") % len(known)]
    return made


def _runs(ordered: NDArray[np.int64], size: int) -> tuple[list[Span], bool]:
    """Return the spans of whole runs, those whose hashes are lowest, of `size` facts at most, and
    True; or that of a single run of more facts, and False.  ordered: times, ascending."""
    # A run lasts a power of two of nanoseconds, so that few facts more or less do not move all.
    gaps = ordered[RUN_FACTS::RUN_FACTS] - ordered[:-RUN_FACTS:RUN_FACTS]
    shift = max(0, int(np.median(gaps)).bit_length())
    runs, counts = np.unique(ordered >> shift, return_counts=True)
    ranked = sorted(
        (_hash(run), run, n) for run, n in zip(runs.tolist(), counts.tolist(), strict=True)
    )
    chosen: list[int] = []
    left = size
    for _, run, facts in ranked:
        if facts > left:
            break
        chosen.append(run)
        left -= facts
    # One run may hold more than fit.
    spans = [(run << shift, ((run + 1) << shift) - 1) for run in chosen or [ranked[0][1]]]
    return spans, bool(chosen)


def _hash(run: int) -> bytes:
    return hashlib.blake2b(run.to_bytes(8, "little", signed=True), digest_size=8).digest()
