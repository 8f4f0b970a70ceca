"""Records of recalibration: how far a stream's harmless drift moved its thresholds, which false
alarms a person confirmed, and the false-alarm rate observed.

They are durable, bounded, and outside digest and contributions.  `session.recalibration` computes
them.
"""

from .facts import Selector
from .structs import FrozenStruct

OFFSET_MAX = 1.0
"""Farthest that a level follows drift upward, in within-block deviations.  Linear attacks that end
just above what it allows alarm lastingly, however slow (docs/explanation/time.md)."""

RECALIBRATION_VERSION = 1
"""Version of the stored record; a record of another version is dropped when it is read."""


class ConfirmedAlarm(FrozenStruct, frozen=True, kw_only=True):
    """A lasting alarm that a person called harmless.

    alarm_id: the observation at which the question was published.  domain: learned domain that the
    window was nearest to.  subjects, recordings: of its observations, sorted; empty texts left out.
    from_ns, until_ns: from_ns <= captured_at_ns < until_ns.  observation_ids: in order.  features:
    uint8 rows of these, joined.  level: their mean score under the geometry of the record, 1,024 a
    standard deviation; it is computed again from `features` under another one.  returned: True once
    the stream has been back at the enrolled level, which counts from then on.
    """

    alarm_id: str
    stream: str
    domain: str
    subjects: tuple[str, ...]
    recordings: tuple[str, ...]
    from_ns: int
    until_ns: int
    confirmed_at_ns: int
    observation_ids: tuple[str, ...]
    features: bytes
    level: int = 0
    returned: bool = False


class Recalibration(FrozenStruct, frozen=True, kw_only=True):
    """A stream's recalibration.

    geometry: fingerprint of the geometry under which the offset was tracked; it is 0 under another.
    offset: how far harmless drift raised the level, 1,024 a within-block deviation, 0 to 1,024.
    uncertainty: variance of the level, 1,024 a squared deviation; 0 if it was never observed.
    subjects, recordings, from_ns, until_ns: of the observations that moved it, as in
    `ConfirmedAlarm`; more than `limits.RECALIBRATION_KEYS_MAX` names are replaced by ("*",), which
    matches all.
    samples, alarms, changes: observations that count as known, those reported as novel among them,
    and how often one follows the other.  trail: scores of the newest of them, 1,024 a within-block
    deviation above the level; trail_pace_ns: the median time between two.  confirmed: newest
    last, at most `limits.CONFIRMED_ALARMS_MAX`.
    """

    stream: str
    geometry: str
    offset: int = 0
    uncertainty: int = 0
    subjects: tuple[str, ...] = ()
    recordings: tuple[str, ...] = ()
    from_ns: int = 0
    until_ns: int = 0
    samples: int = 0
    alarms: int = 0
    changes: int = 0
    trail: tuple[int, ...] = ()
    trail_pace_ns: int = 0
    confirmed: tuple[ConfirmedAlarm, ...] = ()
    version: int = RECALIBRATION_VERSION


class ObservedRate(FrozenStruct, frozen=True, kw_only=True):
    """The false-alarm rate observed on a stream, next to the chosen one.

    rate: share of the observations that count as known (outside lasting alarms, or in alarms called
    harmless) that were reported as novel.  low, high: 95 % interval (Wilson 1927) on the effective
    number of samples.
    """

    chosen: float
    samples: int
    alarms: int
    rate: float
    low: float
    high: float


class CalibrationStatus(FrozenStruct, frozen=True, kw_only=True):
    """How a learned domain's thresholds were calibrated.

    exchangeable: True if its facts have no capture times, and are treated as independent.  blocks:
    held out by time or recording, 0 if exchangeable.  block_samples: length of a block.
    effective_samples: independent samples that the facts amount to.  absorbed: largest total shift
    of the scores that may stay without a lasting alarm, in within-block deviations, 0 if
    exchangeable; sparse facts add what the trail of a stream shows.  shortfall: why the chosen rate
    is not attainable and what is needed; empty if it is.
    """

    domain: str
    exchangeable: bool
    samples: int
    effective_samples: int
    blocks: int
    block_samples: int
    absorbed: float = 0.0
    shortfall: str = ""


def may_cover(
    selector: Selector,
    record: Recalibration | ConfirmedAlarm,
    streams: frozenset[str] = frozenset(),
) -> bool:
    """Return whether a selector may match an observation that the record was made from.

    streams: of the facts and buffered observations that the selector matches.  When in doubt, True:
    a record that is dropped is learned again.
    """
    if selector.domain is not None or selector.label is not None:
        # Only labelled facts have a domain or label; those of this stream may have been observed.
        return record.stream in streams
    if selector.stream not in (None, record.stream):
        return False
    if selector.ids is not None and isinstance(record, ConfirmedAlarm):
        return bool(selector.ids & set(record.observation_ids))
    # An observation that has expired is known by its default id only.
    default = f"{record.stream}:"
    if selector.ids is not None and not (
        record.stream in streams or any(one.startswith(default) for one in selector.ids)
    ):
        return False
    if selector.subject is not None and not {selector.subject, ANY} & set(record.subjects):
        return False
    if selector.recording is not None and not {selector.recording, ANY} & set(record.recordings):
        return False
    late = selector.from_ns is not None and record.until_ns <= selector.from_ns
    early = selector.until_ns is not None and record.from_ns >= selector.until_ns
    return not (late or early)


ANY = "*"
"""Stands for more names than a record keeps."""
