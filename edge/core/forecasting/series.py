"""Time series: online forecasting, change points and anomaly scores for streams of numbers.

All of it is session state: a crash may lose it, and it is learned again from new samples.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from .. import limits
from ..columns import NamedValues, listed
from ..config import Config
from ..errors import StateError
from ..events import ChangePoint, Observation, Rejected, SeriesAnomaly, SeriesForecast
from ..facts import Selector
from ..receipt import SeriesForgotten, SeriesRange
from ..structs import FrozenStruct
from .forecaster import Floats, ForecastTask, State
from .replay_buffer import (
    Reach,
    Removed,
    ReplayBuffer,
    WaitingSamples,
    may_select,
    selected_ranges,
    shrink,
)
from .sample_block import LostSamples, SeriesSample, sample_of
from .tracked_series import (
    SCORER_VERSION,
    TrackedSeries,
    decode_texts,
    encode_texts,
    select_part,
    unpack_times,
)

if TYPE_CHECKING:
    from ..anomaly import AnomalyScore
    from ..drift import DetectedChange

SeriesMessage = SeriesForecast | ChangePoint | SeriesAnomaly | Rejected

_WAITING_MAX = 2 * limits.SERIES_PARTS_MAX * limits.SERIES_PART_SAMPLES
"""Samples that wait to be processed again, at most: twice those of a full buffer.  Beyond it each
new one waits until an older one is processed."""
_UNNAMED_DETECTOR = "joint"
"""The detector of stored states without `detector_kind`: older versions knew no other."""


class Replayed(msgspec.Struct, frozen=True):
    """A sample that was processed again.

    unchanged: it came before the first forgotten sample, and its messages are those of before.
    fresh: it arrived after the forget request, and its messages are new.
    """

    event: Observation
    messages: tuple[SeriesMessage, ...]
    unchanged: bool
    fresh: bool


class ErasedSeries(FrozenStruct, frozen=True):
    """What a forget request reached of a series.

    keys: ids of the kept samples that it matched, and of all that came later: their messages are
    shaped by forgotten samples.  from_ns: the earliest time of these.  whole: whether that is all
    of the series.  ranges: times of those that it matched.
    """

    report: SeriesForgotten
    keys: tuple[str, ...]
    from_ns: int
    whole: bool
    ranges: tuple[SeriesRange, ...] = ()


class SeriesSnapshot(FrozenStruct, frozen=True):
    """A series to store.  state: as arrays; empty before its first sample is processed (again).
    buffer: its newest samples, with states before them.  waiting: samples to process again."""

    name: str
    state: State
    buffer: ReplayBuffer
    waiting: WaitingSamples


class SeriesTracker:
    """Forecasts up to `limits.SERIES_MAX` series by name, detects their changes and scores samples.

    The first sample determines the channels of a series.  A list must keep its length.  Named
    channels may be left out, and a new name restarts the series with it.  Of the fields of a
    message (`NamedValues` in no fixed order) only those of the first sample count, so that an
    occasional field does not restart the series.  samples: processed so far.

    After `forget`, call `replay` until it returns None: series that it reached process their
    samples again.  Until then their forecasts are provisional: the value of the sample.
    """

    def __init__(self, config: Config, weights: State | None = None) -> None:
        self._config, self._weights = config, weights
        self._periods = dict(config.periods)
        self._series: dict[str, TrackedSeries] = {}
        self._buffers: dict[str, ReplayBuffer] = {}
        self._waiting: dict[str, WaitingSamples] = {}
        self._erased: tuple[ErasedSeries, ...] = ()
        self._refused: tuple[ErasedSeries, ...] = ()
        self.samples = 0

    def blank(self) -> "SeriesTracker":
        """Return a tracker of the same configuration without series."""
        return SeriesTracker(self._config, self._weights)

    def process(self, event: Observation) -> Iterator[SeriesMessage]:
        """Process a sample: yield changes, an alarm that starts, and a forecast with the anomaly
        score.  Invalid samples are rejected without side effects."""
        waiting = self._waiting.get(event.stream)
        values, names = None, tuple[str, ...]()
        try:
            if waiting is None:
                values, sample = self._accept(event)
            else:
                names, sample = self._readable(event)
        except ValueError as error:
            hint = "send a list of numbers, or numbers by channel, NaN or null where missing"
            yield Rejected(event.key, f"reading a sample of a series: {error}", hint)
            return
        if waiting is None or values is not None:
            assert values is not None, "it was accepted"
            yield from self._step(event, values, sample)
            return
        waiting.add(sample)
        self.samples += 1
        yield _provisional(event, names, sample, self._config.horizons)
        while event.stream in self._waiting and len(waiting) > _WAITING_MAX:
            done = self._replay_one(event.stream)
            yield from done.messages if done.fresh else ()

    def _accept(self, event: Observation) -> tuple[Floats, SeriesSample]:
        """Return a valid sample's values by channel, and the sample; start a series if it is new,
        and a part of its samples if that is due.  Raises ValueError for an invalid sample."""
        buffer = self._buffers.get(event.stream)
        due = buffer is not None and buffer.full
        before = self._checkpoint(event.stream) if due else None
        values = self._values(event)
        if buffer is not None and due:
            buffer.begin(before)
            shrink([self._buffers[name] for name in self._series if name in self._buffers])
        return values, sample_of(event, _floats)

    def _checkpoint(self, name: str) -> State | None:
        """Return the state of a series to continue from, None without or if it is too large."""
        one = self._series.get(name)
        state = self._pack(name, one) if one is not None else {}
        size = sum(array.nbytes for array in state.values())
        return state if 0 < size <= limits.SERIES_CHECKPOINT_BYTES_MAX else None

    def _step(
        self, event: Observation, values: Floats, sample: SeriesSample
    ) -> Iterator[SeriesMessage]:
        series = self._series.pop(event.stream)
        self._series[event.stream] = series
        self._buffers.setdefault(event.stream, ReplayBuffer()).add(sample)
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

    # --- forgetting -----------------------------------------------------------------------------

    def preview(self, selector: Selector) -> tuple[SeriesForgotten, ...]:
        """Return what `forget` would do to each series; changes nothing."""
        found = ((name, self._reach(name, selector)) for name in self._buffers)
        return tuple(self._report(name, *reached) for name, reached in found if reached is not None)

    def forget(self, selector: Selector) -> tuple[SeriesForgotten, ...]:
        """Exclude the samples that a selector matches, at once; `replay` then processes again what
        came after them.  Returns the series that it reached.

        Every state that a matching sample has shaped is dropped before this returns.
        """
        erased, self._refused = list(self._refused), ()
        for name in tuple(self._buffers):
            reached = self._reach(name, selector)
            if reached is not None:
                ranges = self._ranges(name, reached[0], selector)
                erased.append(replace(self._exclude(name, *reached), ranges=ranges))
        self._erased = tuple(erased)
        return tuple(one.report for one in erased)

    @property
    def erased_ranges(self) -> tuple[SeriesRange, ...]:
        """The times of the samples that the last forget request has matched."""
        return tuple(one for erased in self._erased for one in erased.ranges)

    def _ranges(
        self, name: str, reach: Reach | None, selector: Selector
    ) -> tuple[SeriesRange, ...]:
        """Return the times of the samples that a selector matches, up to the last of them."""
        waiting = self._waiting.get(name, WaitingSamples(())).block()
        parts = [(waiting.times(), waiting.selected(selector))]
        if reach is not None:
            rows = zip(self._buffers[name].parts, reach.rows, strict=True)
            parts += [(part.samples.times(), gone) for part, gone in rows]
        times, gone = map(np.concatenate, zip(*parts, strict=True))
        return selected_ranges(name, times, gone, selector)

    def take_erased(self) -> tuple[ErasedSeries, ...]:
        """Return once what the last forget request has reached."""
        erased, self._erased = self._erased, ()
        return erased

    def refuse(self, erased: tuple[ErasedSeries, ...]) -> None:
        """Note that a forget request was refused after it had reached series, since storing failed.
        They stay without its samples, and the next request reports them."""
        self._refused = erased

    @property
    def replaying(self) -> tuple[str, ...]:
        """The series whose samples are processed again; their forecasts are provisional."""
        return tuple(self._waiting)

    def replay(self) -> Replayed | None:
        """Process one sample of a series again; None if there is no more.  Cost: that of a
        sample."""
        return self._replay_one(next(iter(self._waiting))) if self._waiting else None

    def finish_replay(self) -> None:
        """Process all samples again."""
        while self.replay() is not None:
            pass

    def _reach(self, name: str, selector: Selector) -> tuple[Reach | None, Removed] | None:
        """Return what a selector matches of the samples processed, and of those that wait; None for
        nothing."""
        if not may_select(selector, name):
            return None
        waiting = self._waiting.get(name, WaitingSamples(()))
        removed = waiting.without(selector)
        others = frozenset(waiting.block().ids()) if selector.ids else frozenset()
        reach = self._buffers[name].reach(selector, name, others)
        return None if reach is None and not removed.samples else (reach, removed)

    def _report(self, name: str, reach: Reach | None, removed: Removed) -> SeriesForgotten:
        buffer = self._buffers[name]
        if reach is None:
            return SeriesForgotten(name, removed.samples, "replayed", 0)
        samples = removed.samples + reach.samples
        if buffer.replays(reach):
            return SeriesForgotten(name, samples, "replayed", 0)
        return SeriesForgotten(name, samples, "restarted", buffer.lost.count)

    def _exclude(self, name: str, reach: Reach | None, removed: Removed) -> ErasedSeries:
        report, left = self._report(name, reach, removed), removed.left
        if reach is None:
            self._wait(name, left)
            return ErasedSeries(report, removed.keys, removed.from_ns, whole=False)
        found = self._buffers[name].exclude(reach)
        self._series.pop(name, None)
        if found.start is not None:
            self._series[name], _ = self._unpack(name, found.start)
        block = left.block()
        earliest = int(block.times().min()) if len(block) else limits.COUNT_MAX
        from_ns = min(found.from_ns, removed.from_ns, earliest)
        keys = dict.fromkeys((*found.keys, *removed.keys, *block.ids()))
        self._wait(name, WaitingSamples((*found.waiting, block), found.unchanged, left.fresh))
        whole = found.start is None and not found.unchanged
        return ErasedSeries(report, tuple(keys), from_ns, whole=whole)

    def _wait(self, name: str, waiting: WaitingSamples) -> None:
        self._waiting.pop(name, None)
        if len(waiting):
            self._waiting[name] = waiting
        elif name not in self._series:
            del self._buffers[name]

    def _replay_one(self, name: str) -> Replayed:
        waiting = self._waiting[name]
        unchanged, fresh = waiting.unchanged > 0, len(waiting) <= waiting.fresh
        event = waiting.take().observation(name)
        if not len(waiting):
            del self._waiting[name]
        try:
            messages = tuple(self._step(event, *self._accept(event)))
        except ValueError as error:
            reason = f"reading a sample of a series: {error}"
            messages = (Rejected(event.key, reason, "send the channels of the samples before"),)
        return Replayed(event, messages, unchanged, fresh)

    # --- state ----------------------------------------------------------------------------------

    def state(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the state of each series by name, as arrays, for `restore`."""
        return {name: self._pack(name, one) for name, one in self._series.items()}

    def saved(self) -> Iterator[SeriesSnapshot]:
        """Yield what to store of each series, the most recent one first."""
        names = dict.fromkeys((*self._buffers, *self._series))
        recent = [*self._series, *(name for name in names if name not in self._series)]
        for name in reversed(recent):
            one = self._series.get(name)
            state = {} if one is None else self._pack(name, one)
            waiting = self._waiting.get(name, WaitingSamples(()))
            yield SeriesSnapshot(name, state, self._buffers[name], waiting)

    def restore(
        self,
        state: Mapping[str, State],
        buffers: Mapping[str, tuple[ReplayBuffer, WaitingSamples]] | None = None,
    ) -> None:
        """Continue series from a state, with their newest samples.  Raises StateError or ValueError
        for a state that does not fit, KeyError for an incomplete one; nothing is changed then.

        If the configuration names another detector than the state, the forecaster continues and the
        detector starts without history; so does the anomaly scorer of an older state.  The samples
        before can then not be replayed exactly, and are not kept.
        """
        found = {name: self._unpack(name, one) for name, one in state.items() if one}
        for name in state:
            made, same = found.get(name, (None, True))
            if made is not None:
                self._series[name] = made
            known = (buffers or {}).get(name)
            if known is not None and same:
                self._buffers[name], waiting = known
                if len(waiting):
                    self._waiting[name] = waiting
            elif made is not None:
                lost = LostSamples(
                    made.samples, made.from_ns, made.until_ns, set(made.subjects), made.recordings
                )
                lost.recordings = set(lost.recordings)
                start = state[name] if same else self._pack(name, made)
                self._buffers[name] = ReplayBuffer(start, lost)

    def _pack(self, name: str, one: TrackedSeries) -> dict[str, NDArray[Any]]:
        kind = encode_texts((self._kind(len(one.names)),))
        return {"task": self._task_hash(name), "detector_kind": kind, **one.arrays()}

    def _unpack(self, name: str, one: State) -> tuple[TrackedSeries, bool]:
        """Return a series with a state, and whether all of the state was used."""
        if not np.array_equal(one["task"], self._task_hash(name)):
            raise StateError(
                f"restoring the series {name}: expected the horizons, season, seed and network"
                " weights of the configuration, found others",
                "no action needed: the series starts again and is learned from new samples",
            )
        from_ns, until_ns, last_ns, samples = unpack_times(one["times"])
        made = self._make(name, tuple(decode_texts(one["names"])), from_ns)
        made.forecaster.restore(select_part("forecaster", one))
        stored = (
            decode_texts(one["detector_kind"]) if "detector_kind" in one else [_UNNAMED_DETECTOR]
        )
        kind = self._kind(len(made.names))
        # A state of the former default continues, and the kind is chosen after it.
        same_detector = stored == [kind] or (kind, stored) == ("auto", [_UNNAMED_DETECTOR])
        if same_detector:
            made.detector.restore(select_part("detector", one))
        version = decode_texts(one["scorer_version"]) if "scorer_version" in one else []
        same_scorer = version == [SCORER_VERSION]
        if same_scorer:
            made.scorer.restore(select_part("scorer", one))
        made.until_ns, made.last_ns, made.samples = until_ns, last_ns, samples
        made.subjects = set(decode_texts(one["subjects"]))
        # States stored by older versions hold no samples of a named recording.
        made.recordings = set(decode_texts(one["recordings"])) if "recordings" in one else {""}
        return made, same_detector and same_scorer

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

    def _readable(self, event: Observation) -> tuple[tuple[str, ...], SeriesSample]:
        """Return the channels that a sample names, and the sample.  Raises ValueError for one that
        no series could take."""
        sample = sample_of(event, _floats)
        names = sample.layout.names or _numbered(event.payload)
        if not 1 <= len(names) <= limits.SERIES_CHANNELS_MAX:
            most = limits.SERIES_CHANNELS_MAX
            raise ValueError(f"expected 1 to {most} channels, found {len(names)}")
        return names, sample

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

    def _start(self, event: Observation, names: tuple[str, ...]) -> TrackedSeries:
        if len(names) > limits.SERIES_CHANNELS_MAX:
            raise ValueError(f"more than {limits.SERIES_CHANNELS_MAX} channels in all")
        most = limits.TEXT_CHARS_MAX
        if not all(one.strip() and one.isprintable() and len(one) <= most for one in names):
            raise ValueError(f"a channel's name must have 1 to {most} printable characters")
        made = self._make(event.stream, names, event.captured_at_ns)
        self._series.pop(event.stream, None)
        while len(self._series) >= limits.SERIES_MAX:
            oldest = next(iter(self._series))
            del self._series[oldest]
            self._buffers.pop(oldest, None)
            self._waiting.pop(oldest, None)
        self._series[event.stream] = made
        return made

    def _make(self, stream: str, names: tuple[str, ...], at_ns: int) -> TrackedSeries:
        # Imported with the first series: most homes have none.
        from ..anomaly import make_scorer
        from ..drift import DETECTORS
        from .kinds import FORECASTERS

        config = self._config
        period = self._periods.get(stream)
        task = ForecastTask(len(names), config.horizons, config.seed, period, self._weights)
        return TrackedSeries(
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


def _provisional(
    event: Observation, names: tuple[str, ...], sample: SeriesSample, horizons: tuple[int, ...]
) -> SeriesForecast:
    """Return the forecast of a sample that waits: its own values."""
    none = ((math.nan,) * len(names),) * len(horizons)
    return SeriesForecast(
        stream=event.stream,
        observation_id=event.key,
        captured_at_ns=event.captured_at_ns,
        channels=names,
        horizons=horizons,
        point=(tuple(sample.values.tolist()),) * len(horizons),
        low=none,
        high=none,
        provisional=True,
    )


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
