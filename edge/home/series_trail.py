"""The newest samples and forecasts of each series, in memory, to draw them."""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core import ChangePoint, Message, NamedValues, Observation, SeriesAnomaly, SeriesForecast
from ..core import limits as core_limits

SAMPLES_MAX: Final = 720
"""Samples kept of a series: as many as a chart has pixels, twelve hours at one a minute."""

NUMBERS_MAX: Final = 1 << 16
"""Numbers kept of a series, four bytes each: 16 MB for `limits.SERIES_MAX` series.  A series of 512
channels keeps its last dozen samples."""

EVENTS_MAX: Final = 64
"""Change points and anomalies kept of a series.  Chosen by hand; effect not measured."""

Floats = NDArray[np.float32]


class SeriesView(msgspec.Struct, frozen=True, kw_only=True):
    """A series as a chart shows it.

    at_ns, values: times of the samples, and one list per channel; null where missing.  forecasts:
    the newest ones, oldest first: made_at_ns, horizons in samples, when they are expected (at_ns,
    by the usual pace), and point, low and high by horizon and channel.  coverage: share of the past
    samples that were inside their 90 % interval, by horizon; None before there are any.
    regime: number of the present state.
    """

    channels: tuple[str, ...]
    at_ns: tuple[int, ...]
    values: list[list[float | None]]
    horizons: tuple[int, ...]
    forecasts: tuple[dict[str, Any], ...]
    change_points: tuple[ChangePoint, ...]
    anomalies: tuple[SeriesAnomaly, ...]
    regime: int
    coverage: tuple[float | None, ...]
    pace_s: float
    anomaly: dict[str, Any]


class _Trail:
    """One series.  samples: (time, values float32 [channels], forecast float32 [3, horizons,
    channels], id)."""

    def __init__(self, forecast: SeriesForecast) -> None:
        self.channels, self.horizons = forecast.channels, forecast.horizons
        size = len(self.channels) * (1 + 3 * len(self.horizons))
        most = max(2, min(SAMPLES_MAX, NUMBERS_MAX // max(1, size)))
        self.samples: deque[tuple[int, Floats, Floats, str]] = deque(maxlen=most)
        self.events: deque[ChangePoint | SeriesAnomaly] = deque(maxlen=EVENTS_MAX)
        self.last = forecast
        self.regime = 0


class SeriesTrail:
    """The newest samples of all series of a home, bounded.  Cost: about ten microseconds a sample
    of few channels."""

    def __init__(self) -> None:
        self._trails: dict[str, _Trail] = {}

    def add(self, event: Observation, messages: tuple[Message, ...]) -> None:
        """Keep a sample with the messages about it."""
        forecast = next((one for one in messages if isinstance(one, SeriesForecast)), None)
        if forecast is None:
            return
        trail = self._trails.pop(event.stream, None)
        if trail is None or trail.channels != forecast.channels:
            trail = _Trail(forecast)
        self._trails[event.stream] = trail
        while len(self._trails) > core_limits.SERIES_MAX:
            del self._trails[next(iter(self._trails))]
        trail.last = forecast
        table = np.array((forecast.point, forecast.low, forecast.high), np.float32)
        values = _values(event.payload, forecast.channels)
        trail.samples.append((event.captured_at_ns, values, table, event.key))
        for one in messages:
            if isinstance(one, ChangePoint | SeriesAnomaly):
                trail.events.append(one)
                trail.regime = one.regime if isinstance(one, ChangePoint) else trail.regime

    def forget(self, stream: str, keys: Collection[str], *, whole: bool) -> None:
        """Drop the newest samples of a series, those with these ids, and their messages; or all of
        it."""
        trail = self._trails.get(stream)
        if trail is None:
            return
        gone = frozenset(keys)
        while trail.samples and (whole or trail.samples[-1][3] in gone):
            trail.samples.pop()
        left = [one for one in trail.events if not (whole or one.observation_id in gone)]
        trail.events = deque(left, maxlen=EVENTS_MAX)
        changes = [one for one in left if isinstance(one, ChangePoint)]
        trail.regime = changes[-1].regime if changes else 0
        trail.last = msgspec.structs.replace(
            trail.last,
            anomaly_score=0.0,
            anomaly_limit=0.0,
            anomaly_p_value=1.0,
            anomaly_alarm=False,
        )
        if not trail.samples:
            del self._trails[stream]

    def names(self) -> tuple[str, ...]:
        """Return the series that have samples, sorted."""
        return tuple(sorted(self._trails))

    def view(self, stream: str, forecasts: int) -> SeriesView | None:
        """Return a series with its newest forecasts, None without samples."""
        trail = self._trails.get(stream)
        if trail is None:
            return None
        rows, last = list(trail.samples), trail.last
        times = tuple(at for at, _, _, _ in rows)
        pace_ns = _pace(times)
        values = np.array([row for _, row, _, _ in rows])
        tables = np.array([table for _, _, table, _ in rows])
        return SeriesView(
            channels=trail.channels,
            at_ns=times,
            values=_plain(values.T),
            horizons=trail.horizons,
            forecasts=tuple(
                _forecast(trail.horizons, pace_ns, at, table)
                for at, table in zip(times[-forecasts:], _plain(tables[-forecasts:]), strict=True)
            ),
            change_points=tuple(one for one in trail.events if isinstance(one, ChangePoint)),
            anomalies=tuple(one for one in trail.events if isinstance(one, SeriesAnomaly)),
            regime=trail.regime,
            coverage=tuple(_coverage(values, tables, at, h) for at, h in enumerate(trail.horizons)),
            pace_s=pace_ns / 1e9,
            anomaly={
                "score": last.anomaly_score,
                "limit": last.anomaly_limit,
                "p_value": last.anomaly_p_value,
                "alarm": last.anomaly_alarm,
            },
        )


def _values(payload: Any, channels: tuple[str, ...]) -> Floats:
    """Return a sample's values by channel, NaN where missing."""
    if isinstance(payload, NamedValues):
        payload = dict(zip(payload.names, payload.values.tolist(), strict=True))
    if isinstance(payload, Mapping):
        given = {str(name): value for name, value in payload.items()}
        payload = [given.get(name) for name in channels]
    return np.array([np.nan if one is None else one for one in payload], np.float32)


def _pace(times: tuple[int, ...]) -> int:
    """Return the median time between two samples, 0 for fewer than two."""
    return int(np.median(np.diff(times))) if len(times) > 1 else 0


def _forecast(
    horizons: tuple[int, ...], pace_ns: int, made_at_ns: int, table: list[Any]
) -> dict[str, Any]:
    point, low, high = table
    return {
        "made_at_ns": made_at_ns,
        "at_ns": tuple(made_at_ns + pace_ns * ahead for ahead in horizons),
        "horizons": horizons,
        "point": point,
        "low": low,
        "high": high,
    }


def _coverage(values: Floats, tables: Floats, at: int, ahead: int) -> float | None:
    """Return the share of values inside the interval that was forecast `ahead` samples before."""
    if len(values) <= ahead:
        return None
    actual, low, high = values[ahead:], tables[:-ahead, 1, at], tables[:-ahead, 2, at]
    counted = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    inside = (actual >= low) & (actual <= high) & counted
    return float(inside.sum() / counted.sum()) if counted.any() else None


def _plain(numbers: Floats) -> Any:
    """Return numbers for JSON as nested lists, None for what is missing; with the seven digits that
    float32 has.  Cost: 30 ns a number."""
    exact = numbers.astype(np.float64)
    there = np.isfinite(exact)
    size = np.abs(exact)
    digits = np.zeros_like(exact)
    np.log10(size, out=digits, where=there & (size > 0))
    scale = 10.0 ** (6 - np.floor(digits))
    rounded = np.round(np.where(there, exact, 0.0) * scale) / scale
    if there.all():
        return rounded.tolist()
    made = rounded.astype(object)
    made[~there] = None
    return made.tolist()
