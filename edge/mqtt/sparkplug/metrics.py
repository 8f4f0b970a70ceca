"""What of a message becomes metrics of Sparkplug B: names, types and values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final

from ...core import ChangePoint, Decision, SeriesForecast
from ..streams import Channels
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
"""Fields of `Decision`."""

_CHANGE: Final = {
    "change": DataType.STRING,
    "severity": DataType.DOUBLE,
    "regime": DataType.INT64,
}
"""Fields of `ChangePoint`."""

_TABLES: Final = {"forecast": "point", "low": "low", "high": "high"}
"""Metrics of a channel, and the tables of `SeriesForecast` that they are the first row of."""


@dataclass(frozen=True, slots=True)
class MetricValue:
    """The metrics of one message, by name.  at_ms: of its observation, since 1970."""

    stream: str
    at_ms: int
    kinds: dict[str, DataType]
    values: dict[str, Value]


def kinds_of(channels: Channels) -> dict[str, DataType]:
    """Return the metrics of a stream, by name.  channels: of a series; None: it has decisions."""
    return dict(_DECISION) if channels is None else _CHANGE | _of_channels(channels)


def metric_values(message: object) -> MetricValue | None:
    """Return the metrics of a decision, a forecast or a change; None for anything else."""
    if isinstance(message, Decision):
        return _measured(message, _DECISION, (getattr(message, name) for name in _DECISION))
    if isinstance(message, ChangePoint):
        return _measured(message, _CHANGE, (getattr(message, name) for name in _CHANGE))
    if isinstance(message, SeriesForecast):
        rows = (getattr(message, table)[0] for table in _TABLES.values())
        return _measured(
            message, _of_channels(message.channels), (one for row in rows for one in row)
        )
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
        message.stream, at_ms, kinds, dict(zip(kinds, map(_known, values), strict=True))
    )


def _known(value: Value) -> Value:
    """Return a value, None for a number that is none: it is told once then, not each time."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
