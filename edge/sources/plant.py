"""Values of industrial controllers: deadbands, missing values, and one measurement from many.

A value is reported when it or its quality changes, as OPC UA defines a data change: by more than
the deadband from the value that was reported last (OPC UA part 4, section 7.22.2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..config import PlantPoint, PlantStream
from ..core import COUNT_MAX, NamedValues, listed
from .measurement import InvalidMeasurement, Measurement, MeasurementMetadata, session_recording

REASONS_SHOWN: Final = 3
"""Missing values whose reason a message names: enough to find the cause, short enough to read."""


@dataclass(frozen=True, slots=True)
class PlantValue:
    """One value as read.  value: NaN if there is none; problem: the reason.  at_ns: nanoseconds
    since 1970 on the source's clock, None if it gives no time."""

    value: float
    problem: str = ""
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ProbedValue:
    """A value that `auricle check` read.  unit: as the server or the settings give it."""

    name: str
    value: float
    unit: str
    problem: str


def scaled_value(point: PlantPoint, raw: float, at_ns: int | None = None) -> PlantValue:
    """Return a raw number in the point's unit; a number that is not finite is missing."""
    value = raw * point.scale + point.offset
    if not math.isfinite(value):
        return missing_value(f"the number is {value}")
    return PlantValue(value, at_ns=at_ns if at_ns is not None and 0 <= at_ns <= COUNT_MAX else None)


def missing_value(problem: str) -> PlantValue:
    """Return a value that is not there, and why."""
    return PlantValue(math.nan, problem)


def deadband_of(point: PlantPoint, bounds: tuple[float, float] | None) -> float:
    """Return the deadband of a point in its unit, 0 for none.  bounds: the lowest and the highest
    value, for a deadband in percent."""
    if not point.deadband_percent:
        return point.deadband
    if bounds is None:
        raise ValueError(f"{point.name}: deadband_percent needs range: the server gives none")
    return point.deadband_percent / 100 * (bounds[1] - bounds[0])


class PlantSampler:
    """Makes a measurement of the values that were read together.

    A sample with a missing value is rejected; a series has a missing number there.  A sample of
    which nothing is reported is left out, and a series continues with the values reported last,
    since it needs evenly spaced samples.

    bands: deadbands, as `deadband_of` gives them.  reports_all: a value without a deadband is
    reported whenever it is read, and not only when it changes.
    """

    def __init__(
        self,
        stream: str,
        settings: PlantStream,
        points: Sequence[PlantPoint],
        bands: Sequence[float],
        *,
        reports_all: bool,
    ) -> None:
        self.problem = ""
        self._stream, self._settings = stream, settings
        self._names = tuple(one.name for one in points)
        self._bands, self._reports_all = tuple(bands), reports_all
        self._reported: list[float | None] = [None] * len(points)
        self._started_ns = -1
        self._last_ns = -1

    def measure(
        self, values: Sequence[PlantValue], now_ns: int
    ) -> Measurement | InvalidMeasurement | None:
        """Return the measurement; None if there is nothing to report.  now_ns: on the clock of the
        values."""
        changed = [self._report(place, one.value) for place, one in enumerate(values)]
        lacking = [
            f"{name}: {one.problem}"
            for name, one in zip(self._names, values, strict=True)
            if math.isnan(one.value)
        ]
        self.problem = "; ".join(lacking[:REASONS_SHOWN])
        series = self._settings.kind == "series"
        if len(lacking) == len(values) or (lacking and not series):
            names = [one for one, value in zip(self._names, values, strict=True) if value.problem]
            return InvalidMeasurement(
                f"no value of {listed(names)} ({self.problem})"[:500],
                "check the device and the addresses of its values with `auricle check`",
            )
        if not any(changed) and not series:
            return None
        times = [
            one.at_ns
            for one, new in zip(values, changed, strict=True)
            if new and one.at_ns is not None
        ]
        return self._measurement(max(times, default=now_ns), now_ns)

    def _report(self, place: int, value: float) -> bool:
        """Report a value, unless it is within its deadband of the one reported last."""
        last, band = self._reported[place], self._bands[place]
        if last is not None and math.isnan(last) and math.isnan(value):
            return False
        if last is not None and not math.isnan(last) and not math.isnan(value):
            every_time = self._reports_all and not band
            if not every_time and abs(value - last) <= band:
                return False
        self._reported[place] = value
        return True

    def _measurement(self, at_ns: int, now_ns: int) -> Measurement:
        if at_ns <= self._last_ns:
            at_ns = max(now_ns, self._last_ns + 1)
        self._last_ns = at_ns
        if self._started_ns < 0:
            self._started_ns = at_ns
        metadata = MeasurementMetadata(
            subject=self._settings.subject,
            captured_at_ns=at_ns,
            recording=session_recording(self._stream, self._started_ns, at_ns),
        )
        row = np.array([math.nan if one is None else one for one in self._reported], np.float64)
        return Measurement(self._stream, NamedValues(self._names, row, ordered=True), metadata)
