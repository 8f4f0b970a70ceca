"""Time series: online forecasting, change points and anomaly scores for streams of numbers.

All of it is session state: a crash may lose it, and it is learned again from new samples.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..columns import NamedValues, listed
from ..config import Config
from ..errors import StateError
from ..events import ChangePoint, Observation, Rejected, SeriesAnomaly, SeriesForecast
from ..facts import Selector
from .forecaster import Floats, Forecaster, ForecastTask, State

if TYPE_CHECKING:
    from ..anomaly import AnomalyScore, AnomalyScorer
    from ..drift import ChangeDetector, DetectedChange

_SCORER_VERSION = "windows 1"
"""Kind and version of the anomaly scorer in a stored state: raise it if arrays of the same name and
shape change their meaning.  Scorers of other states start again; the forecaster continues."""
_UNNAMED_DETECTOR = "joint"
"""The detector of stored states without `detector_kind`: older versions knew no other."""


@dataclass(kw_only=True, slots=True)
class _TrackedSeries:
    """The state of one series.

    from_ns, until_ns: the earliest and the latest time of its samples, which may arrive out of
    order.  last_ns: the time of the sample that arrived last.  subjects, recordings: of the
    samples; from `SERIES_SUBJECTS_MAX` on no more are recorded, and the series may hold samples of
    any subject or recording.
    """

    names: tuple[str, ...]
    forecaster: Forecaster
    detector: "ChangeDetector"
    scorer: "AnomalyScorer"
    from_ns: int
    until_ns: int
    last_ns: int
    subjects: set[str]
    recordings: set[str]
    samples: int = 0

    def record(self, event: Observation) -> float:
        """Record a sample's subject, recording and time; return the seconds since the previous
        one, below 0 for an older one."""
        at_ns = event.captured_at_ns
        elapsed_s = (at_ns - self.last_ns) / 1e9 if self.samples else 0.0
        self.from_ns, self.until_ns = min(self.from_ns, at_ns), max(self.until_ns, at_ns)
        self.last_ns = at_ns
        self.samples += 1
        for names, name in ((self.subjects, event.subject), (self.recordings, event.recording)):
            if len(names) < limits.SERIES_SUBJECTS_MAX:
                names.add(name)
        return elapsed_s

    def may_hold(self, selector: Selector, name: str) -> bool:
        """Return whether a selection may include samples of this series; samples have no id, domain
        or label."""
        if selector.empty or (selector.ids, selector.domain, selector.label) != (None, None, None):
            return False
        return (
            selector.stream in (None, name)
            and _may_include(self.subjects, selector.subject)
            and _may_include(self.recordings, selector.recording)
            and (selector.from_ns is None or self.until_ns >= selector.from_ns)
            and (selector.until_ns is None or self.from_ns < selector.until_ns)
        )


class SeriesTracker:
    """Forecasts up to `limits.SERIES_MAX` series by name, detects their changes and scores samples.

    The first sample determines the channels of a series.  A list must keep its length.  Named
    channels may be left out, and a new name restarts the series with it.  Of the fields of a
    message (`NamedValues` in no fixed order) only those of the first sample count, so that an
    occasional field does not restart the series.  samples: processed so far.
    """

    def __init__(self, config: Config, weights: State | None = None) -> None:
        self._config, self._weights = config, weights
        self._periods = dict(config.periods)
        self._series: dict[str, _TrackedSeries] = {}
        self.samples = 0

    def process(
        self, event: Observation
    ) -> Iterator[SeriesForecast | ChangePoint | SeriesAnomaly | Rejected]:
        """Process a sample: yield changes, an alarm that starts, and a forecast with the anomaly
        score.  Invalid samples are rejected without side effects."""
        try:
            values = self._values(event)
        except ValueError as error:
            hint = "send a list of numbers, or numbers by channel, NaN or null where missing"
            yield Rejected(event.key, f"reading a sample of a series: {error}", hint)
            return
        series = self._series.pop(event.stream)
        self._series[event.stream] = series
        self.samples += 1
        forecast = series.forecaster.step(values, series.record(event))
        for change in series.detector.step(values):
            yield _change_point(event, change, series.names)
        score = series.scorer.step(values, event.captured_at_ns)
        if score.raised:
            yield _anomaly(event, score, series.names)
        yield SeriesForecast(
            stream=event.stream,
            observation_id=event.key,
            captured_at_ns=event.captured_at_ns,
            channels=series.names,
            horizons=forecast.horizons,
            point=_rows(forecast.point),
            low=_rows(forecast.low),
            high=_rows(forecast.high),
            anomaly_score=score.score,
            anomaly_p_value=score.p_value,
            anomaly_limit=score.limit,
            anomaly_alarm=score.alarm,
        )

    def channels(self, stream: str) -> tuple[str, ...]:
        """Return the names of a series' channels; empty for an unknown series."""
        series = self._series.get(stream)
        return series.names if series is not None else ()

    def forget(self, selector: Selector) -> bool:
        """Drop every series that may hold selected samples; return whether there was one."""
        gone = self.matching(selector)
        for name in gone:
            del self._series[name]
        return bool(gone)

    def matching(self, selector: Selector) -> tuple[str, ...]:
        """Return the series that may hold selected samples."""
        return tuple(name for name, one in self._series.items() if one.may_hold(selector, name))

    def state(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the state of each series by name, as arrays, for `restore`."""
        return dict(reversed(list(self.states())))

    def states(self) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
        """Yield the same one by one, the most recent series first."""
        for name, one in reversed(self._series.items()):
            kind = _encode((self._kind(len(one.names)),))
            yield name, {"task": self._task_hash(name), "detector_kind": kind, **_pack(one)}

    def restore(self, state: Mapping[str, State]) -> None:
        """Continue series from a state.  Raises StateError or ValueError for a state that does not
        fit, KeyError for an incomplete one; nothing is changed then.

        If the configuration names another detector than the state, the forecaster continues and the
        detector starts without history; so does the anomaly scorer of an older state.
        """
        found = {}
        for name, one in state.items():
            if not np.array_equal(one["task"], self._task_hash(name)):
                raise StateError(
                    f"restoring the series {name}: expected the horizons, season, seed and network"
                    " weights of the configuration, found others",
                    "no action needed: the series starts again and is learned from new samples",
                )
            from_ns, until_ns, last_ns, samples = _times(one["times"])
            made = self._make(name, tuple(_decode(one["names"])), from_ns)
            made.forecaster.restore(_part("forecaster", one))
            stored = (
                _decode(one["detector_kind"]) if "detector_kind" in one else [_UNNAMED_DETECTOR]
            )
            if stored == [self._kind(len(made.names))]:
                made.detector.restore(_part("detector", one))
            version = _decode(one["scorer_version"]) if "scorer_version" in one else []
            if version == [_SCORER_VERSION]:
                made.scorer.restore(_part("scorer", one))
            made.until_ns, made.last_ns, made.samples = until_ns, last_ns, samples
            made.subjects = set(_decode(one["subjects"]))
            # States stored by older versions hold no samples of a named recording.
            made.recordings = set(_decode(one["recordings"])) if "recordings" in one else {""}
            found[name] = made
        self._series |= found

    def _task_hash(self, stream: str) -> NDArray[np.uint8]:
        """Return a hash of everything that the state of the stream's forecaster depends on."""
        config = self._config
        task = (config.horizons, config.seed, self._periods.get(stream))
        digest = hashlib.sha256(repr(task).encode())
        for name, array in sorted((self._weights or {}).items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return np.frombuffer(digest.digest(), np.uint8)

    # --- samples --------------------------------------------------------------------------------

    def _values(self, event: Observation) -> Floats:
        """Return a sample's values by channel; start the series if it is new.  Raises ValueError
        for an invalid sample."""
        if not self._config.forecast:
            raise ValueError("forecasting is off in the configuration")
        payload = self._fields(event)
        named = isinstance(payload, Mapping)
        names = tuple(map(str, payload)) if named else _numbered(payload)
        if not 1 <= len(names) <= limits.SERIES_CHANNELS_MAX:
            most = limits.SERIES_CHANNELS_MAX
            raise ValueError(f"expected 1 to {most} channels, found {len(names)}")
        numbers = _floats(list(payload.values()) if named else payload)
        series = self._series.get(event.stream)
        if series is None or (named and not set(names) <= set(series.names)):
            before = series.names if series is not None else ()
            series = self._start(event, tuple(dict.fromkeys((*before, *names))))
        if not named:
            if names != series.names:
                raise ValueError(f"expected {len(series.names)} numbers, found {len(names)}")
            return numbers
        values = np.full(len(series.names), math.nan)
        places = {name: place for place, name in enumerate(series.names)}
        values[[places[name] for name in names]] = numbers
        return values

    def _fields(self, event: Observation) -> Any:
        """Return an observation's payload, named values as a mapping of the channels that count."""
        payload = event.payload
        if not isinstance(payload, NamedValues):
            return payload
        fields = dict(zip(payload.names, payload.values.tolist(), strict=True))
        series = self._series.get(event.stream)
        if series is None or payload.ordered:
            return fields
        known = {name: value for name, value in fields.items() if name in series.names}
        if not known:
            found = listed(payload.names)
            raise ValueError(f"expected some of the channels {listed(series.names)}, found {found}")
        return known

    def _start(self, event: Observation, names: tuple[str, ...]) -> _TrackedSeries:
        if len(names) > limits.SERIES_CHANNELS_MAX:
            raise ValueError(f"more than {limits.SERIES_CHANNELS_MAX} channels in all")
        most = limits.TEXT_CHARS_MAX
        if not all(one.strip() and one.isprintable() and len(one) <= most for one in names):
            raise ValueError(f"a channel's name must have 1 to {most} printable characters")
        made = self._make(event.stream, names, event.captured_at_ns)
        self._series.pop(event.stream, None)
        while len(self._series) >= limits.SERIES_MAX:
            del self._series[next(iter(self._series))]
        self._series[event.stream] = made
        return made

    def _make(self, stream: str, names: tuple[str, ...], at_ns: int) -> _TrackedSeries:
        # Imported with the first series: most homes have none.
        from ..anomaly import make_scorer
        from ..drift import DETECTORS
        from .kinds import FORECASTERS

        config = self._config
        period = self._periods.get(stream)
        task = ForecastTask(len(names), config.horizons, config.seed, period, self._weights)
        return _TrackedSeries(
            names=names,
            forecaster=FORECASTERS["pool"](task),
            detector=DETECTORS[self._kind(len(names))](len(names)),
            scorer=make_scorer(len(names), config.false_alarms_per_day),
            from_ns=at_ns,
            until_ns=at_ns,
            last_ns=at_ns,
            subjects=set(),
            recordings=set(),
        )

    def _kind(self, channels: int) -> str:
        """Return the kind of detector for a series of so many channels."""
        from ..drift import default_detector

        return self._config.detector or default_detector(channels)


def _numbered(payload: Any) -> tuple[str, ...]:
    shape = np.shape(payload)
    if isinstance(payload, str | bytes) or len(shape) != 1:
        raise ValueError(f"expected a list of numbers, found {type(payload).__name__}")
    return tuple(map(str, range(shape[0])))


def _floats(payload: Any) -> Floats:
    """Return numbers as float64, NaN for None; raises ValueError for anything else."""
    array = np.asarray([math.nan if one is None else one for one in payload])
    if array.ndim != 1 or array.dtype.kind not in "iufb":
        raise ValueError(f"expected numbers, found values of type {array.dtype.name}")
    return array.astype(np.float64)


def _rows(table: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, table.tolist()))


def _change_point(
    event: Observation, change: "DetectedChange", names: tuple[str, ...]
) -> ChangePoint:
    return ChangePoint(
        stream=event.stream,
        observation_id=event.key,
        captured_at_ns=event.captured_at_ns,
        change=change.kind,
        channels=tuple(names[channel] for channel in change.channels),
        severity=float(change.severity),
        regime=int(change.regime),
        late=int(change.step - change.start),
    )


def _anomaly(event: Observation, score: "AnomalyScore", names: tuple[str, ...]) -> SeriesAnomaly:
    return SeriesAnomaly(
        stream=event.stream,
        observation_id=event.key,
        captured_at_ns=event.captured_at_ns,
        score=score.score,
        p_value=score.p_value,
        limit=score.limit,
        channels=tuple(names[channel] for channel in score.channels),
        scale=score.scale,
    )


def _may_include(names: AbstractSet[str], wanted: str | None) -> bool:
    """Return whether a series whose samples have these subjects or recordings may hold a wanted
    one."""
    return wanted in (None, *names) or len(names) >= limits.SERIES_SUBJECTS_MAX


def _pack(one: _TrackedSeries) -> dict[str, NDArray[Any]]:
    return {
        "names": _encode(one.names),
        "times": np.array([one.from_ns, one.until_ns, one.last_ns, one.samples]),
        "subjects": _encode(sorted(one.subjects)),
        "recordings": _encode(sorted(one.recordings)),
        **{f"forecaster/{name}": array for name, array in one.forecaster.state().items()},
        **{f"detector/{name}": array for name, array in one.detector.state().items()},
        "scorer_version": _encode((_SCORER_VERSION,)),
        **{f"scorer/{name}": array for name, array in one.scorer.state().items()},
    }


def _times(numbers: NDArray[Any]) -> tuple[int, int, int, int]:
    """Return the earliest, latest and last time and the number of samples, as `_pack` stores them.

    Older states hold three numbers and lack the latest time.  It then counts as unbounded, so that
    no forget request misses the series.
    """
    found = tuple(int(number) for number in numbers)
    if len(found) == 3:
        from_ns, last_ns, samples = found
        return from_ns, limits.COUNT_MAX, last_ns, samples
    from_ns, until_ns, last_ns, samples = found
    return from_ns, until_ns, last_ns, samples


def _encode(strings: Sequence[str]) -> NDArray[np.uint8]:
    """Return strings as bytes of JSON: a state holds numbers only."""
    return np.frombuffer(json.dumps(strings).encode(), np.uint8)


def _decode(text: NDArray[Any]) -> list[str]:
    """Return the strings behind `_encode`; raises ValueError for anything else."""
    strings = json.loads(text.astype(np.uint8).tobytes())
    if not (isinstance(strings, list) and all(isinstance(one, str) for one in strings)):
        raise ValueError("restoring a series: expected a list of strings")
    return strings


def _part(prefix: str, state: State) -> dict[str, NDArray[Any]]:
    start = f"{prefix}/"
    return {name[len(start) :]: one for name, one in state.items() if name.startswith(start)}
