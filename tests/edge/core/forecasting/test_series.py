"""Series in the runtime: forecasts, change points, invalid samples, forgetting, limits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.core import limits
from edge.core.config import Config
from edge.core.drift.kinds import default_detector
from edge.core.errors import ConfigError, StateError
from edge.core.events import (
    ChangePoint,
    Event,
    ForgetRequest,
    Observation,
    Publish,
    Rejected,
    SeriesAnomaly,
    SeriesForecast,
)
from edge.core.facts import Selector
from edge.core.receipt import Receipt, SeriesForgotten
from tests.series import differing
from tests.worlds import World

MINUTES_NS = 300 * 10**9


def sample(number: int, payload: object, stream: str = "links", subject: str = "") -> Observation:
    """A sample of a series, five minutes after the previous one."""
    return Observation(
        stream=stream,
        sequence=number,
        captured_at_ns=number * MINUTES_NS,
        payload=payload,
        id="",
        subject=subject,
        kind="series",
    )


def published(world: World, event: Event) -> list[Any]:
    """The messages that the runtime publishes for an event."""
    effects = world.runtime.handle(event)
    return [effect.message for effect in effects if isinstance(effect, Publish)]


def walk(count: int, channels: int = 4, seed: int = 0) -> np.ndarray:
    """A random walk about 1,000."""
    return 1000 + np.cumsum(np.random.default_rng(seed).normal(size=(count, channels)), axis=0)


def test_a_sample_gives_a_forecast() -> None:
    """Each sample of a series gives a forecast with an interval at each horizon."""
    world = World()
    rows = walk(80)
    messages = [
        one for number, row in enumerate(rows) for one in published(world, sample(number, row))
    ]
    assert [type(one) for one in messages] == [SeriesForecast] * 80
    message, row = messages[-1], rows[-1]
    assert (message.stream, message.observation_id) == ("links", "links:79")
    assert message.channels == ("0", "1", "2", "3")
    assert message.horizons == (1, 6, 12)
    low, point, high = (np.array(table) for table in (message.low, message.point, message.high))
    assert point.shape == (3, 4)
    assert (low <= point).all()
    assert (point <= high).all()
    assert (low < high).all()
    assert np.abs(point - row).max() < 20


def test_channels_have_names_and_may_be_missing() -> None:
    """Named channels are reported by name; a missing one is still forecast."""
    world = World()
    rows = walk(50, 2)
    for number, row in enumerate(rows):
        published(world, sample(number, {"a": row[0], "b": row[1]}))
    for payload in ({"b": 1000.0}, {"a": None, "b": 1000.0}, {"b": 1000.0, "a": math.inf}):
        number += 1
        (message,) = published(world, sample(number, payload))
        assert message.channels == ("a", "b")
        assert abs(message.point[0][0] - rows[-1, 0]) < 20


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", " ", "x" * 201, "\N{RIGHT-TO-LEFT OVERRIDE}"])
def test_an_unprintable_channel_name_is_rejected(name: str) -> None:
    """Channel names with control characters, blank or too long are rejected."""
    (message,) = published(World(), sample(0, {name: 1.0}))
    assert "printable" in message.reason


def test_a_new_channel_restarts_the_series() -> None:
    """A new channel name restarts the series with all names."""
    world = World()
    published(world, sample(0, {"a": 1.0}))
    (message,) = published(world, sample(1, {"b": 5.0}))
    assert message.channels == ("a", "b")
    assert math.isnan(message.point[0][0])
    assert message.point[0][1] == 5.0


@pytest.mark.parametrize(
    "payload",
    [None, "text", b"bytes", 3.0, [], {}, [[1.0]], ["x"] * 4, {"a": "x"}, [1.0], [1e400, {}, 1, 2]],
)
def test_an_invalid_sample_is_rejected_without_side_effects(payload: object) -> None:
    """An invalid sample is rejected with a hint, and the next forecasts are the same."""
    first, second = World(), World()
    rows = walk(60)
    for number, row in enumerate(rows[:40]):
        published(first, sample(number, row))
        published(second, sample(number, row))
    (message,) = published(first, sample(40, payload))
    assert isinstance(message, Rejected)
    assert message.reason
    assert message.hint
    for number, row in enumerate(rows[40:], 40):
        assert published(first, sample(number, row)) == published(second, sample(number, row))


def test_a_failure_is_reported() -> None:
    """Links that jump together are reported as a change point and an anomaly in the same sample."""
    world = World()
    rows = walk(200, 6)
    for number, row in enumerate(rows):
        assert len(published(world, sample(number, row))) == 1
    changed, anomaly, message = published(
        world, sample(200, rows[-1] * np.array([0.0, 1.5, 1.4, 1.6, 1, 1]))
    )
    assert isinstance(changed, ChangePoint)
    assert changed.observation_id == "links:200"
    assert set(changed.channels) >= {"1", "2", "3"}
    assert isinstance(anomaly, SeriesAnomaly)
    assert isinstance(message, SeriesForecast)
    assert 1400 < message.point[0][1] < 1600


def noise(count: int, seed: int = 0) -> np.ndarray:
    """Two channels of noise."""
    return np.random.default_rng(seed).normal(size=(count, 2))


def test_an_anomaly_is_reported_once_and_in_the_forecast() -> None:
    """A sample far beyond the range gives an alarm with channel, scale and p-value, before a
    forecast with the same score; the next samples give no second alarm."""
    world = World()
    rows = noise(320)
    rows[300] += 60
    messages = [published(world, sample(number, row)) for number, row in enumerate(rows)]
    alarm, forecast = (one for one in messages[300] if not isinstance(one, ChangePoint))
    assert isinstance(alarm, SeriesAnomaly)
    assert alarm.observation_id == forecast.observation_id == "links:300"
    assert set(alarm.channels) == {"0", "1"}
    assert alarm.scale == 1
    assert alarm.score == forecast.anomaly_score >= alarm.limit == forecast.anomaly_limit
    assert alarm.p_value == forecast.anomaly_p_value < 0.003
    assert forecast.anomaly_alarm
    assert not any(isinstance(one, SeriesAnomaly) for late in messages[301:] for one in late)
    assert messages[290][-1].anomaly_p_value > alarm.p_value


def test_a_forgotten_series_loses_its_anomaly_scores() -> None:
    """After a forget request the series scores like a new one, whose samples have p-value 1."""
    world, twin = World(), World()
    for number, row in enumerate(noise(200)):
        published(world, sample(number, row, subject="me"))
    published(
        world, ForgetRequest(request_id="f", selector=Selector(subject="me"), requested_at_ns=0)
    )
    for number, row in enumerate(noise(200, 1), 200):
        assert published(world, sample(number, row)) == published(twin, sample(number, row))


def test_a_state_without_anomaly_scores_continues_the_forecaster() -> None:
    """A state of an older version, or of another version of the scorer, keeps the forecaster; the
    scorer starts again."""
    rows = noise(301)
    rows[300] += 60
    first = World()
    for number, row in enumerate(rows[:300]):
        published(first, sample(number, row))
    stored = first.runtime.series.state()["links"]
    old = published(first, sample(300, rows[300]))[-1]
    assert old.anomaly_alarm
    for version in (None, "other 7"):
        second = World()
        state = {name: array for name, array in stored.items() if not name.startswith("scorer")}
        if version:
            state["scorer_version"] = np.frombuffer(f'["{version}"]'.encode(), np.uint8)
        second.runtime.series.restore({"links": state})
        new = published(second, sample(300, rows[300]))[-1]
        assert new.point == old.point
        assert not new.anomaly_alarm


def test_a_rate_of_false_alarms_out_of_range_is_refused() -> None:
    """The rate per day must be above 0 and at most 1,000."""
    for rate in (0.0, -1.0, 2_000.0, math.nan):
        with pytest.raises(ConfigError, match="false_alarms_per_day"):
            Config(false_alarms_per_day=rate)


def test_a_forget_request_drops_series() -> None:
    """The series of a subject is dropped with a receipt; others continue."""
    world = World()
    for number, row in enumerate(walk(30)):
        published(world, sample(number, row, "mine", "me"))
        published(world, sample(number, row, "yours", "you"))
    (receipt,) = published(
        world, ForgetRequest(request_id="f", selector=Selector(subject="me"), requested_at_ns=0)
    )
    assert isinstance(receipt, Receipt)
    assert list(world.runtime.series.state()) == ["yours"]
    (message,) = published(
        world, ForgetRequest(request_id="g", selector=Selector(stream="unknown"), requested_at_ns=0)
    )
    assert isinstance(message, Rejected)


def at_s(seconds: int, subject: str = "") -> Observation:
    """A sample with a time in seconds."""
    return Observation(
        stream="links",
        sequence=seconds,
        captured_at_ns=seconds * 10**9,
        payload=[1.0],
        id="",
        subject=subject,
        kind="series",
    )


@pytest.mark.parametrize("order", [(100, 200, 50), (50, 100, 200), (200, 100, 50)])
def test_a_time_range_includes_samples_out_of_order(order: tuple[int, ...]) -> None:
    """A series ends at its latest time, even if an older sample arrived last."""
    world = World()
    for seconds in order:
        published(world, at_s(seconds))
    (message,) = published(
        world,
        ForgetRequest(request_id="f", selector=Selector(from_ns=201 * 10**9), requested_at_ns=0),
    )
    assert isinstance(message, Rejected)
    (receipt,) = published(
        world,
        ForgetRequest(request_id="g", selector=Selector(from_ns=150 * 10**9), requested_at_ns=0),
    )
    assert receipt.series == (SeriesForgotten("links", 1, "replayed", 0),)
    twin = World()
    for seconds in order:
        if seconds < 150:
            published(twin, at_s(seconds))
    assert differing(world.runtime.series, twin.runtime.series) == []


def test_the_end_of_a_series_is_part_of_the_state() -> None:
    """The same forget requests select a restored series and the original."""
    first, second = World(), World()
    for seconds in (100, 200, 50):
        published(first, at_s(seconds))
    second.runtime.series.restore(first.runtime.series.state())
    assert not second.runtime.series.forget(Selector(from_ns=201 * 10**9))
    assert second.runtime.series.forget(Selector(from_ns=150 * 10**9))


def test_a_state_of_an_older_version_is_restored() -> None:
    """A state without the latest time continues the series, and every forget request with an open
    end selects it."""
    first, second = World(), World()
    rows = walk(60)
    for number, row in enumerate(rows[:40]):
        published(first, sample(number, row))
    state = first.runtime.series.state()
    from_ns, _, last_ns, samples = state["links"]["times"]
    state["links"]["times"] = np.array([from_ns, last_ns, samples])
    second.runtime.series.restore(state)
    for number, row in enumerate(rows[40:], 40):
        assert published(first, sample(number, row)) == published(second, sample(number, row))
    assert second.runtime.series.forget(Selector(from_ns=10**15))


def test_a_series_is_dropped_with_its_only_recording() -> None:
    """Forgetting a recording drops the series that hold no other samples, also after a restart; a
    state stored before samples had recordings holds none."""
    first, second = World(), World()
    for number in range(3):
        published(first, replace(sample(number, [1.0]), recording="run 1"))
        published(first, sample(number, [1.0], "other"))
    state = first.runtime.series.state()
    assert first.runtime.series.forget(Selector(recording="run 1"))
    assert list(first.runtime.series.state()) == ["other"]
    second.runtime.series.restore(state)
    assert not second.runtime.series.forget(Selector(recording="run 2"))
    assert second.runtime.series.forget(Selector(recording="run 1"))
    del state["links"]["recordings"]
    second.runtime.series.restore(state)
    assert not second.runtime.series.forget(Selector(recording="run 1"))


def test_lost_samples_of_many_subjects_are_selected_by_any_subject(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Subjects of samples that are not kept are recorded up to a limit; beyond it, forgetting any
    subject restarts the series."""
    monkeypatch.setattr(limits, "SERIES_PART_SAMPLES", 1)
    world = World()
    for number in range(limits.SERIES_SUBJECTS_MAX - 1):
        published(world, sample(number, [1.0], subject=f"s{number}"))
    assert not world.runtime.series.forget(Selector(subject="unheard"))
    for number in range(limits.SERIES_SUBJECTS_MAX, limits.SERIES_SUBJECTS_MAX + 2):
        published(world, sample(number, [1.0], subject=f"s{number}"))
    for number in range(4):
        published(world, sample(100 + number, [1.0]))
    (found,) = world.runtime.series.forget(Selector(subject="unheard"))
    assert (found.outcome, found.samples) == ("restarted", 0)


def test_the_limits_on_series_and_subjects_are_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on series does not limit the subjects of one series."""
    monkeypatch.setattr(limits, "SERIES_MAX", 2)
    world = World()
    for number in range(4):
        published(world, sample(number, [1.0], subject=f"s{number}"))
    assert not world.runtime.series.forget(Selector(subject="unheard"))
    assert world.runtime.series.forget(Selector(subject="s3"))


def test_the_number_of_series_is_bounded() -> None:
    """Beyond the limit, the series without samples for the longest time is dropped."""
    world = World()
    for number in range(limits.SERIES_MAX + 2):
        published(world, sample(0, [1.0], f"s{number}"))
    held = list(world.runtime.series.state())
    assert len(held) == limits.SERIES_MAX
    assert held[0] == "s2"
    (message,) = published(world, sample(1, [1.0] * (limits.SERIES_CHANNELS_MAX + 1)))
    assert isinstance(message, Rejected)


def test_the_state_of_series_is_restored() -> None:
    """A restored runtime gives the same forecasts as the original; a state that does not fit is
    refused without side effects."""
    first, second = World(), World()
    rows = walk(60)
    for number, row in enumerate(rows[:40]):
        published(first, sample(number, row, subject="me"))
    state = first.runtime.series.state()
    second.runtime.series.restore(state)
    for number, row in enumerate(rows[40:], 40):
        assert published(first, sample(number, row)) == published(second, sample(number, row))
    state["links"] |= {"forecaster/history.course": np.zeros(9)}
    third = World()
    with pytest.raises(StateError):
        third.runtime.series.restore(state)
    assert third.runtime.series.state() == {}


def test_the_configuration_applies_to_forecasts() -> None:
    """Horizons follow the configuration; with forecasting off, samples are rejected."""
    world = World(config=Config(horizons=(2,), periods=(("links", 12),)))
    (message,) = published(world, sample(0, [1.0, 2.0]))
    assert message.horizons == (2,)
    off = World(config=Config(forecast=False))
    (message,) = published(off, sample(0, [1.0]))
    assert isinstance(message, Rejected)
    assert "off" in message.reason
    with pytest.raises(ConfigError):
        Config(horizons=(3, 1))
    with pytest.raises(ConfigError):
        Config(periods=(("s", 1),))


def test_daemon_and_command_line_share_one_default_detector() -> None:
    """Fewer than six channels use segments, more than forty joint, for others the data choose,
    unless the configuration names a detector."""
    kinds = [default_detector(channels) for channels in (1, 5, 6, 40, 41)]
    assert kinds == ["segments", "segments", "auto", "auto", "joint"]
    for channels, config, kind in ((5, Config(), "level"), (6, Config(detector="cusum"), "level")):
        rows = 20 + np.random.default_rng(3).normal(scale=0.2, size=(120, channels))
        rows[80:, 1] += 15
        world = World(config=config)
        messages = [one for n, row in enumerate(rows) for one in published(world, sample(n, row))]
        changes = [one for one in messages if isinstance(one, ChangePoint)]
        assert [(one.change, one.channels) for one in changes] == [(kind, ("1",))]


def test_an_unknown_detector_is_refused_with_the_nearest_known_one() -> None:
    """The error for a misspelt detector suggests the nearest known one."""
    with pytest.raises(ConfigError, match="did you mean cusum") as caught:
        Config(detector="cusm")
    assert "cusm" in caught.value.message


def test_a_series_of_the_former_default_keeps_its_samples() -> None:
    """A stored series of many channels with a joint detector can still forget one sample exactly:
    what was kept of it is replayed."""
    rows = 20 + np.random.default_rng(3).normal(scale=0.2, size=(160, 8))
    before, after = World(config=Config(detector="joint")), World()
    for n, row in enumerate(rows):
        published(before, replace(sample(n, row), subject="one" if n == 150 else "other"))
    saved = list(before.runtime.series.saved())
    states = {one.name: one.state for one in saved}
    after.runtime.series.restore(states, {one.name: (one.buffer, one.waiting) for one in saved})
    known, found = (
        world.runtime.series.preview(Selector(subject="one")) for world in (before, after)
    )
    assert found == known
    assert found[0].lost_samples == 0


@pytest.mark.parametrize("kind", ["joint", None])
def test_a_series_stored_with_another_detector_keeps_its_forecaster(kind: str | None) -> None:
    """A state with a joint detector, named or not, continues the forecaster, and the configured
    detector finds a step in one channel afterwards."""
    rows = 20 + np.random.default_rng(3).normal(scale=0.2, size=(160, 2))
    rows[120:, 1] += 15
    before, after = World(config=Config(detector="joint")), World()
    for n, row in enumerate(rows[:60]):
        published(before, sample(n, row))
    state = before.runtime.series.state()
    if kind is None:
        del state["links"]["detector_kind"]
    after.runtime.series.restore(state)
    pairs = [
        (published(before, sample(n, rows[n])), published(after, sample(n, rows[n])))
        for n in range(60, 160)
    ]
    assert all(old[-1] == new[-1] for old, new in pairs)
    assert [type(one) for _, new in pairs for one in new].count(ChangePoint) == 1
