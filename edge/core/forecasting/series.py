"""Series: streams of numbers that are followed, forecast and watched for changes.

All of it is session state: a crash may cost it, and it comes back with the samples.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..columns import NamedValues, listed
from ..config import Config
from ..errors import StateError
from ..events import ChangePoint, Observation, Rejected, SeriesForecast
from ..facts import Selector
from .forecaster import Floats, Forecaster, ForecastTask, State

if TYPE_CHECKING:
    from ..drift import ChangeDetector, DetectedChange

_DETECTOR_BEFORE = "joint"
"""The kind behind stored state that names none: once every series was watched by it."""


@dataclass(slots=True)
class _TrackedSeries:
    """One series.

    from_ns, until_ns: the earliest and the latest time of its samples, which may come out of order.
    last_ns: the time of the sample that came last.  subjects: whose the samples were; from
    `SERIES_SUBJECTS_MAX` on no more are noted, and the series may hold samples of any subject.
    """

    names: tuple[str, ...]
    forecaster: Forecaster
    detector: "ChangeDetector"
    from_ns: int
    until_ns: int
    last_ns: int
    subjects: set[str]
    samples: int = 0

    def take(self, event: Observation) -> float:
        """Note whose a sample is and when it was taken; returns the seconds since the one before,
        below 0 where it is older."""
        at_ns = event.captured_at_ns
        elapsed_s = (at_ns - self.last_ns) / 1e9 if self.samples else 0.0
        self.from_ns, self.until_ns = min(self.from_ns, at_ns), max(self.until_ns, at_ns)
        self.last_ns = at_ns
        self.samples += 1
        if len(self.subjects) < limits.SERIES_SUBJECTS_MAX:
            self.subjects.add(event.subject)
        return elapsed_s

    def may_hold(self, selector: Selector, name: str) -> bool:
        """Say whether a selection may hold samples of this series; these have no id, domain or
        label."""
        if selector.empty or (selector.ids, selector.domain, selector.label) != (None, None, None):
            return False
        anybodys = len(self.subjects) >= limits.SERIES_SUBJECTS_MAX
        return (
            selector.stream in (None, name)
            and (anybodys or selector.subject in (None, *self.subjects))
            and (selector.from_ns is None or self.until_ns >= selector.from_ns)
            and (selector.until_ns is None or self.from_ns < selector.until_ns)
        )


class SeriesTracker:
    """Follows up to `limits.SERIES_MAX` series by name.

    The first sample says which channels a series has.  A list must keep its length; of named
    channels some may be left out, and a new name begins the series anew with it.  Of the fields of
    a message (`NamedValues` in no fixed order) only those of the first sample are taken, so a field
    that comes now and then does not begin the series anew.  samples: how many were taken.
    """

    def __init__(self, config: Config, weights: State | None = None) -> None:
        self._config, self._weights = config, weights
        self._periods = dict(config.periods)
        self._followed: dict[str, _TrackedSeries] = {}
        self.samples = 0

    def look(self, event: Observation) -> Iterator[SeriesForecast | ChangePoint | Rejected]:
        """Take a sample of a series.  What is wrong with it is told, and changes nothing."""
        try:
            values = self._values(event)
        except ValueError as error:
            hint = "send a list of numbers, or numbers by channel, NaN or null where missing"
            yield Rejected(event.key, f"reading a sample of a series: {error}", hint)
            return
        followed = self._followed.pop(event.stream)
        self._followed[event.stream] = followed
        self.samples += 1
        told = followed.forecaster.step(values, followed.take(event))
        for change in followed.detector.step(values):
            yield _changed(event, change, followed.names)
        yield SeriesForecast(
            stream=event.stream,
            observation_id=event.key,
            captured_at_ns=event.captured_at_ns,
            channels=followed.names,
            horizons=told.horizons,
            point=_rows(told.point),
            low=_rows(told.low),
            high=_rows(told.high),
        )

    def channels(self, stream: str) -> tuple[str, ...]:
        """Return the names of a series' channels; none where it is not followed."""
        followed = self._followed.get(stream)
        return followed.names if followed is not None else ()

    def forget(self, selector: Selector) -> bool:
        """Drop every series that may hold what is selected; True where there was one."""
        gone = [name for name, one in self._followed.items() if one.may_hold(selector, name)]
        for name in gone:
            del self._followed[name]
        return bool(gone)

    def state(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return what is known of each series, by name: arrays of numbers, for `restore`."""
        return dict(reversed(list(self.states())))

    def states(self) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
        """Return the same one by one, the series heard last first."""
        for name, one in reversed(self._followed.items()):
            kind = _text((self._kind(len(one.names)),))
            yield name, {"task": self._task_mark(name), "detector_kind": kind, **_pack(one)}

    def restore(self, state: Mapping[str, State]) -> None:
        """Follow series where `state` was taken.  Raises StateError or ValueError for a state that
        does not fit, KeyError for one that is not whole; nothing is changed then.

        Where another kind of detector watched a series, the forecaster goes on and the detector of
        the present configuration starts without history.
        """
        found = {}
        for name, one in state.items():
            if not np.array_equal(one["task"], self._task_mark(name)):
                raise StateError(
                    f"restoring the series {name}: its horizons, its season, the seed or the"
                    " network's weights are others now",
                    "it begins anew: what was learned comes back with the samples",
                )
            from_ns, until_ns, last_ns, samples = _times(one["times"])
            made = self._begin(name, tuple(_words(one["names"])), from_ns)
            made.forecaster.restore(_part("forecaster", one))
            stored = _words(one["detector_kind"]) if "detector_kind" in one else [_DETECTOR_BEFORE]
            if stored == [self._kind(len(made.names))]:
                made.detector.restore(_part("detector", one))
            made.until_ns, made.last_ns, made.samples = until_ns, last_ns, samples
            made.subjects = set(_words(one["subjects"]))
            found[name] = made
        self._followed |= found

    def _task_mark(self, stream: str) -> NDArray[np.uint8]:
        """Return a hash over all that a state of the stream's forecaster depends on."""
        config = self._config
        task = (config.horizons, config.seed, self._periods.get(stream))
        digest = hashlib.sha256(repr(task).encode())
        for name, array in sorted((self._weights or {}).items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return np.frombuffer(digest.digest(), np.uint8)

    # --- samples --------------------------------------------------------------------------------

    def _values(self, event: Observation) -> Floats:
        """Return a sample's values by channel, of a series that is followed from now on."""
        if not self._config.forecast:
            raise ValueError("forecasting is off in the settings")
        payload = self._fields(event)
        named = isinstance(payload, Mapping)
        names = tuple(map(str, payload)) if named else _numbered(payload)
        if not 1 <= len(names) <= limits.SERIES_CHANNELS_MAX:
            most = limits.SERIES_CHANNELS_MAX
            raise ValueError(f"expected 1 to {most} channels, found {len(names)}")
        numbers = _floats(list(payload.values()) if named else payload)
        held = self._followed.get(event.stream)
        if held is None or (named and not set(names) <= set(held.names)):
            before = held.names if held is not None else ()
            held = self._follow(event, tuple(dict.fromkeys((*before, *names))))
        if not named:
            if names != held.names:
                raise ValueError(f"expected {len(held.names)} numbers, found {len(names)}")
            return numbers
        values = np.full(len(held.names), math.nan)
        places = {name: place for place, name in enumerate(held.names)}
        values[[places[name] for name in names]] = numbers
        return values

    def _fields(self, event: Observation) -> Any:
        """Return an observation's payload, named values as a mapping of the names to take."""
        payload = event.payload
        if not isinstance(payload, NamedValues):
            return payload
        fields = dict(zip(payload.names, payload.values.tolist(), strict=True))
        held = self._followed.get(event.stream)
        if held is None or payload.ordered:
            return fields
        known = {name: value for name, value in fields.items() if name in held.names}
        if not known:
            found = listed(payload.names)
            raise ValueError(f"expected some of the channels {listed(held.names)}, found {found}")
        return known

    def _follow(self, event: Observation, names: tuple[str, ...]) -> _TrackedSeries:
        if len(names) > limits.SERIES_CHANNELS_MAX:
            raise ValueError(f"more than {limits.SERIES_CHANNELS_MAX} channels in all")
        most = limits.TEXT_CHARS_MAX
        if not all(one.strip() and one.isprintable() and len(one) <= most for one in names):
            raise ValueError(f"a channel's name must have 1 to {most} printable characters")
        made = self._begin(event.stream, names, event.captured_at_ns)
        self._followed.pop(event.stream, None)
        while len(self._followed) >= limits.SERIES_MAX:
            del self._followed[next(iter(self._followed))]
        self._followed[event.stream] = made
        return made

    def _begin(self, stream: str, names: tuple[str, ...], at_ns: int) -> _TrackedSeries:
        # Loaded with the first series: most homes follow none.
        from ..drift import DETECTORS
        from .kinds import FORECASTERS

        config = self._config
        period = self._periods.get(stream)
        task = ForecastTask(len(names), config.horizons, config.seed, period, self._weights)
        made = FORECASTERS["pool"](task), DETECTORS[self._kind(len(names))](len(names))
        return _TrackedSeries(names, *made, at_ns, at_ns, at_ns, set())

    def _kind(self, channels: int) -> str:
        """Return the kind of detector that watches a series of so many channels."""
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
        raise ValueError("it holds something else than numbers")
    return array.astype(np.float64)


def _rows(table: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, table.tolist()))


def _changed(event: Observation, change: "DetectedChange", names: tuple[str, ...]) -> ChangePoint:
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


def _pack(one: _TrackedSeries) -> dict[str, NDArray[Any]]:
    return {
        "names": _text(one.names),
        "times": np.array([one.from_ns, one.until_ns, one.last_ns, one.samples]),
        "subjects": _text(sorted(one.subjects)),
        **{f"forecaster/{name}": array for name, array in one.forecaster.state().items()},
        **{f"detector/{name}": array for name, array in one.detector.state().items()},
    }


def _times(numbers: NDArray[Any]) -> tuple[int, int, int, int]:
    """Return the earliest, latest and last time and the count of samples, as `_pack` stores them.

    Older states hold three numbers, with the last time in place of the latest.  The latest is then
    unknown: it counts as unbounded, so that no request to forget misses the series.
    """
    found = tuple(int(number) for number in numbers)
    if len(found) == 3:
        from_ns, last_ns, samples = found
        return from_ns, limits.COUNT_MAX, last_ns, samples
    from_ns, until_ns, last_ns, samples = found
    return from_ns, until_ns, last_ns, samples


def _text(words: Sequence[str]) -> NDArray[np.uint8]:
    """Return words as bytes of JSON: a state is numbers only."""
    return np.frombuffer(json.dumps(words).encode(), np.uint8)


def _words(text: NDArray[Any]) -> list[str]:
    """Return what `_text` was given; raises ValueError where it is something else."""
    words = json.loads(text.astype(np.uint8).tobytes())
    if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
        raise ValueError("restoring a series: expected a list of words")
    return words


def _part(prefix: str, state: State) -> dict[str, NDArray[Any]]:
    start = f"{prefix}/"
    return {name[len(start) :]: one for name, one in state.items() if name.startswith(start)}
