"""The Sparkplug B metrics of a message: names, types and values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final

from ...core import ChangePoint, Decision, SeriesForecast
from ..presence import Channels
from .payload import DataType, Value

_DECISION: Final = {
    "score": DataType.DOUBLE,
    "p_value": DataType.DOUBLE,
    "window_p": DataType.DOUBLE,
    "known": DataType.BOOLEAN,
    "alarm": DataType.BOOLEAN,
    "degraded": DataType.BOOLEAN,
    "domain": DataType.STRING,
    "label": DataType.STRING,
    "observation_id": DataType.STRING,
}
"""Metrics of a decision, named after the fields of `Decision`."""

_CHANGE: Final = {
    "change": DataType.STRING,
    "severity": DataType.DOUBLE,
    "regime": DataType.INT64,
}
"""Metrics of a change point, named after the fields of `ChangePoint`."""

_ANOMALY: Final = {
    "anomaly_score": DataType.DOUBLE,
    "anomaly_p_value": DataType.DOUBLE,
    "anomaly_alarm": DataType.BOOLEAN,
}
"""Metrics of the anomaly score of a series, named after the fields of `SeriesForecast`."""

_TABLES: Final = {"forecast": "point", "low": "low", "high": "high"}
"""Metrics of a channel, by the field of `SeriesForecast` whose first row holds them."""


@dataclass(frozen=True, slots=True)
class MetricValue:
    """The metrics of one message, by name.  at_ms: time of observation, milliseconds since 1970."""

    stream: str
    at_ms: int
    kinds: dict[str, DataType]
    values: dict[str, Value]


def kinds_of(channels: Channels) -> dict[str, DataType]:
    """Return the metric types of a stream, by name.  channels: None for a sample stream."""
    return dict(_DECISION) if channels is None else _CHANGE | _ANOMALY | _of_channels(channels)


def metric_values(message: object) -> MetricValue | None:
    """Return the metrics of a decision, forecast or change point; None for other messages."""
    if isinstance(message, Decision):
        return _measured(message, _DECISION, (getattr(message, name) for name in _DECISION))
    if isinstance(message, ChangePoint):
        return _measured(message, _CHANGE, (getattr(message, name) for name in _CHANGE))
    if isinstance(message, SeriesForecast):
        rows = (getattr(message, table)[0] for table in _TABLES.values())
        kinds = _ANOMALY | _of_channels(message.channels)
        scores = (getattr(message, name) for name in _ANOMALY)
        return _measured(message, kinds, (*scores, *(one for row in rows for one in row)))
    return None


def _of_channels(channels: Iterable[str]) -> dict[str, DataType]:
    names = ("/".join(both) for both in product(_TABLES, channels))
    return dict.fromkeys(names, DataType.DOUBLE)


def _measured(
    message: Decision | ChangePoint | SeriesForecast,
    kinds: dict[str, DataType],
    values: Iterable[Value],
) -> MetricValue:
    at_ms = max(message.captured_at_ns // 1_000_000, 0)
    return MetricValue(
        message.stream, at_ms, kinds, dict(zip(kinds, map(_finite, values), strict=True))
    )


def _finite(value: Value) -> Value:
    """Return a value, None for NaN and infinity: NaN differs from itself, and would be sent each
    time."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
