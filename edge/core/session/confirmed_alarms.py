"""False alarms that a person has confirmed: their record, and its level under other knowledge."""

import numpy as np
from msgspec.structs import replace

import hdc

from ..events import AlarmQuestion
from ..knowledge import Knowledge
from ..recalibration import ConfirmedAlarm
from .label_buffer import LabelBuffer


def confirmed_alarm(
    question: AlarmQuestion, at_ns: int, buffer: LabelBuffer, known: Knowledge
) -> ConfirmedAlarm | None:
    """Return the record of a false alarm; None if its observations have expired."""
    rows = [(key, one) for key in question.observation_ids if (one := buffer.get(key)) is not None]
    if not rows:
        return None
    times = [one.captured_at_ns for _, one in rows]
    made = ConfirmedAlarm(
        alarm_id=question.alarm_id,
        stream=question.stream,
        domain=question.domain,
        subjects=tuple(sorted({one.subject for _, one in rows} - {""})),
        recordings=tuple(sorted({one.recording for _, one in rows} - {""})),
        from_ns=min(times),
        until_ns=max(times) + 1,
        confirmed_at_ns=at_ns,
        observation_ids=tuple(key for key, _ in rows),
        features=b"".join(one.features for _, one in rows),
    )
    return rebased(made, known)


def rebased(alarm: ConfirmedAlarm, known: Knowledge) -> ConfirmedAlarm:
    """Return a confirmed alarm with its level under this knowledge.  Cost: one verdict a row."""
    if not known.memory.keys:
        return alarm
    rows = np.frombuffer(alarm.features, np.uint8).reshape(len(alarm.observation_ids), -1)
    codes = known.geometry.project(rows)
    calibration = known.calibration()
    found = [one for _, one in hdc.detect_each(codes, known.memory, calibration)]
    total = sum(_whole(one.deviation) for one in found)
    statistics = calibration.in_time.get(alarm.domain)
    enrolled = statistics.level if statistics is not None else 0
    return replace(alarm, level=max(enrolled, total // len(found)))


def _whole(deviation: float) -> int:
    return round(deviation * hdc.ONE)
