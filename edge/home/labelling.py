"""Label requests of a home: the observations that wait for a label, and explanations of them."""

import heapq
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec
import numpy as np

from ..config import SoundStream
from ..core import (
    AlarmQuestion,
    AppliedAdaptation,
    EdgeError,
    Explanation,
    Fact,
    KnownExample,
    LabelColumn,
)
from .home import Home
from .typos import KnownNames
from .waiting_order import order_waiting

RAW_ANSWER_BYTES_MAX: Final = 4 << 20
"""Largest raw input in an answer: four times the limit of `raw_inputs`; in base64 a third of
`REPLY_BYTES_MAX` (edge/commands/control_socket.py)."""


LISTED_MAX: Final = 256
"""Observations in the answer to `candidates`, which may go over MQTT: a message of 50 KB."""

COLUMNS_LISTED: Final = 24
"""Unnamed columns in the answer to `candidates`: 5 KB.  Chosen by hand."""

BINS: Final = 40
"""Bars of the distribution of scores.  Chosen by hand; effect not measured."""

LEVEL_MAX: Final = 255
"""The largest uint8 level of a feature."""


class FlaggedObservation(msgspec.Struct, frozen=True):
    """An observation that is worth labelling.  score: its value, up to 1."""

    id: str
    stream: str
    domain: str
    captured_at_ns: int
    score: float


class UnnamedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster of unlabelled observations that one label names.  count: of them.  samples: ids of
    a few, the nearest to the centre first; a label of the first is the name.  nearest: the known
    label that they are most like, with its mean likelihood, up to 1.  kind: of the encoder."""

    domain: str
    kind: str
    count: int
    samples: tuple[str, ...]
    nearest: str
    likelihood: float


class WaitingLabels(msgspec.Struct, frozen=True):
    """Observations that wait for a label, the most valuable first; labels and domains in use.
    alarms: questions about lasting alarms that wait for an answer.  columns: clusters without a
    name, those that are least like a known label first."""

    flagged: tuple[FlaggedObservation, ...]
    labels: tuple[str, ...]
    domains: tuple[str, ...] = ()
    alarms: tuple[AlarmQuestion, ...] = ()
    columns: tuple[UnnamedColumn, ...] = ()

    @property
    def names(self) -> KnownNames:
        """The names in use, including domains whose observations all wait for a label."""
        return KnownNames(self.labels, (*self.domains, *{one.domain for one in self.flagged}))


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a vector, and the same column in the nearest known concept.

    clipped: -1 or 1 if the value is at the lower or upper end of the quantiser's range, so that the
    measured value may lie beyond it; else 0.
    """

    name: str
    value: float
    mean: float
    low: float
    high: float
    clipped: int = 0


class ScoreDistribution(msgspec.Struct, frozen=True):
    """A histogram.  edges: one more than counts."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """An explanation for a person who labels an observation.

    kind: of the encoder: image, window or vector.  columns: of a vector, those that differ most
    from the nearest concept (`domain`, `label`) first.  compared: number of its examples in the
    comparison.  width: number of all columns.  rate_hz: sampling rate of a sound, 0 if unknown.
    score: novelty of the sample, higher is more novel.  threshold: score above which a sample of
    the nearest domain is novel; None if too few are held out to set one, or if it depends on the
    stream's recent past.  distribution: of the held-out scores of that domain.  learned: the label,
    if it is labelled.  adaptation: how the guess was adapted to a domain without labels, else None.
    draft: what the head answered before the nearest facts revised or confirmed it, else empty.
    unlabelled: observations without a label that the answering head has learned from.  reason: why
    it is neither known nor new, empty if it is one of these or nothing is known.
    """

    kind: str
    known: bool | None
    guess: str
    p_value: float
    domain: str
    label: str
    compared: int = 0
    examples: tuple[KnownExample, ...]
    columns: tuple[Column, ...] = ()
    width: int = 0
    rate_hz: int = 0
    score: float = 0.0
    threshold: float | None = None
    distribution: ScoreDistribution | None = None
    captured_at_ns: int = 0
    stream: str = ""
    learned: str = ""
    adaptation: AppliedAdaptation | None = None
    draft: str = ""
    unlabelled: int = 0
    reason: str = ""


def waiting_labels(home: Home) -> WaitingLabels:
    """Return the observations of an opened home that wait for a label: the most valuable
    `LISTED_MAX`."""
    index = home.store.candidate_index()
    order = heapq.nsmallest(LISTED_MAX, index.items(), key=lambda row: (-row[1].score, row[0]))
    flagged = (
        FlaggedObservation(key, one.stream, one.domain, one.captured_at_ns, one.score)
        for key, one in (
            (key, index[key]) for key in order_waiting(home, [key for key, _ in order])
        )
    )
    names = KnownNames.of(home.store.concepts())
    alarms = home.runtime.alarm_questions()
    return WaitingLabels(tuple(flagged), names.labels, names.domains, alarms, unnamed_columns(home))


def unnamed_columns(
    home: Home, columns: Sequence[LabelColumn] | None = None
) -> tuple[UnnamedColumn, ...]:
    """Return the clusters of unlabelled observations that a name helps, at most `COLUMNS_LISTED`:
    the domains in turn, and in each the kinds in turn; see `find_columns`.

    columns: found a short time ago; those of observations that have left since are left out.  None:
    they are found now.
    """
    found = home.runtime.label_columns() if columns is None else columns
    waiting = [
        one
        for one in found
        if one.waits and all(home.runtime.buffered(key) is not None for key in one.samples)
    ]
    ranked = [
        (rank, one.likelihood, one.domain, one)
        for _, found in groupby(waiting, key=lambda one: one.domain)
        for rank, one in enumerate(found)
    ]
    ranked.sort(key=lambda row: row[:3])
    return tuple(
        UnnamedColumn(
            domain=one.domain,
            kind=home.model.card.kind,
            count=one.count,
            samples=one.samples,
            nearest=one.nearest,
            likelihood=round(one.likelihood, 3),
        )
        for *_, one in ranked[:COLUMNS_LISTED]
    )


def column_names(home: Home) -> tuple[str, ...]:
    """Return the names of a vector's columns, in order: those of the home, or c1, c2, ... if it has
    none or a model computes other features from its columns."""
    card, names = home.model.card, home.store.columns()
    if names and not card.sha256:
        return names
    return tuple(f"c{number}" for number in range(1, card.width + 1))


def explain_observation(home: Home, observation_id: str) -> Explained:
    """Explain a waiting, recent or labelled observation of an opened home.  Raises EdgeError if
    there is no such one any more."""
    found, one = home.runtime.explain(observation_id), home.runtime.observation(observation_id)
    if found is None or one is None:
        raise EdgeError(
            f"explaining {observation_id}: it does not wait for a label any more",
            "`auricle label --json` lists the observations that wait",
        )
    threshold, distribution = _held_out(home, found.nearest_domain)
    card, stream = home.model.card, home.settings.streams.get(found.stream)
    return Explained(
        kind=card.kind,
        known=found.known,
        guess=found.guess,
        p_value=found.p_value,
        domain=found.domain,
        label=found.label,
        compared=found.compared,
        examples=found.examples,
        columns=_columns(home, found) if card.kind == "vector" else (),
        width=card.width,
        rate_hz=stream.rate_hz if isinstance(stream, SoundStream) else 0,
        score=found.score,
        threshold=threshold,
        distribution=distribution,
        captured_at_ns=one.captured_at_ns,
        stream=found.stream,
        learned=one.label if isinstance(one, Fact) else "",
        adaptation=found.adaptation,
        draft=found.draft,
        unlabelled=found.unlabelled,
        reason=found.reason,
    )


def _held_out(home: Home, domain: str) -> tuple[float | None, ScoreDistribution | None]:
    """Return the threshold of a domain, and the distribution of its held-out scores."""
    runtime = home.runtime
    calibration, rate = runtime.knowledge.calibration(), runtime.config.false_alarm_rate
    scores = calibration.scores.get(domain)
    if scores is None or not len(scores):
        return None, None
    counts, edges = np.histogram(scores, bins=BINS)
    threshold = None
    # As `verdict_at`: a sample is novel if (1 + held-out scores at least as high) / (1 + all) <= r.
    rank = int(np.floor(rate * (1 + len(scores)))) - 1
    if 0 <= rank < len(scores) and domain not in calibration.in_time:
        threshold = float(scores[len(scores) - 1 - rank])
    return threshold, ScoreDistribution(tuple(edges.tolist()), tuple(counts.tolist()))


def _columns(home: Home, found: Explanation) -> tuple[Column, ...]:
    """Return the columns with names, and with values in place of levels."""
    quantiser, names = home.model.card.quantiser, column_names(home)
    assert quantiser is not None, "a home's card has a frozen quantiser"

    def value(column: int, level: float) -> float:
        return float((level - quantiser.zero[column]) * quantiser.scale[column])

    return tuple(
        Column(
            name=names[one.column],
            value=value(one.column, one.level),
            mean=value(one.column, one.mean),
            low=value(one.column, one.low),
            high=value(one.column, one.high),
            clipped=(one.level == LEVEL_MAX) - (one.level == 0),
        )
        for one in found.columns
    )


def raw_input(home: Home, observation_id: str) -> bytes | None:
    """Return the raw input of an observation of an opened home, None if it was not kept.  Raises
    EdgeError for one too large for an answer."""
    raw = home.raws_in_memory.get(observation_id) or home.store.raw(observation_id)
    if raw is not None and len(raw) > RAW_ANSWER_BYTES_MAX:
        raise EdgeError(
            f"reading the raw input of {observation_id}: it has {len(raw)} bytes,"
            f" at most {RAW_ANSWER_BYTES_MAX} are sent",
            "label it without the raw input",
        )
    return raw
