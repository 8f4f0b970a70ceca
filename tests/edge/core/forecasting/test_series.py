"""Series through the runtime: forecasts, changes, bad samples, forgetting, bounds."""

from __future__ import annotations

import math
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
    SeriesForecast,
)
from edge.core.facts import Receipt, Selector
from tests.worlds import World

MINUTES_NS = 300 * 10**9


def sample(number: int, payload: object, stream: str = "links", subject: str = "") -> Observation:
    """The sample of a series, five minutes after the one before."""
    return Observation(
        stream=stream,
        sequence=number,
        captured_at_ns=number * MINUTES_NS,
        payload=payload,
        id="",
        subject=subject,
        kind="series",
    )


def said(world: World, event: Event) -> list[Any]:
    """What the runtime publishes for an event."""
    effects = world.runtime.handle(event)
    return [effect.message for effect in effects if isinstance(effect, Publish)]


def walk(count: int, channels: int = 4, seed: int = 0) -> np.ndarray:
    """A random walk about 1,000."""
    return 1000 + np.cumsum(np.random.default_rng(seed).normal(size=(count, channels)), axis=0)


def test_a_sample_is_answered_by_a_forecast() -> None:
    """Each sample of a series gives what is expected at each horizon, with an interval."""
    world = World()
    rows = walk(80)
    heard = [one for number, row in enumerate(rows) for one in said(world, sample(number, row))]
    assert [type(one) for one in heard] == [SeriesForecast] * 80
    told, row = heard[-1], rows[-1]
    assert (told.stream, told.observation_id) == ("links", "links:79")
    assert told.channels == ("0", "1", "2", "3")
    assert told.horizons == (1, 6, 12)
    low, point, high = (np.array(table) for table in (told.low, told.point, told.high))
    assert point.shape == (3, 4)
    assert (low <= point).all()
    assert (point <= high).all()
    assert (low < high).all()
    assert np.abs(point - row).max() < 20


def test_channels_have_names_and_may_be_missing() -> None:
    """Named numbers are told by name; one that is left out keeps its forecast."""
    world = World()
    rows = walk(50, 2)
    for number, row in enumerate(rows):
        said(world, sample(number, {"a": row[0], "b": row[1]}))
    for payload in ({"b": 1000.0}, {"a": None, "b": 1000.0}, {"b": 1000.0, "a": math.inf}):
        number += 1
        (told,) = said(world, sample(number, payload))
        assert told.channels == ("a", "b")
        assert abs(told.point[0][0] - rows[-1, 0]) < 20


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", " ", "x" * 201, "\N{RIGHT-TO-LEFT OVERRIDE}"])
def test_a_name_that_could_steer_a_terminal_is_refused(name: str) -> None:
    """Names of channels are shown, and told to others; nothing is followed under such a one."""
    (said_of,) = said(World(), sample(0, {name: 1.0}))
    assert "printable" in said_of.reason


def test_a_new_channel_joins() -> None:
    """A name that was never heard begins the series anew, with all names."""
    world = World()
    said(world, sample(0, {"a": 1.0}))
    (told,) = said(world, sample(1, {"b": 5.0}))
    assert told.channels == ("a", "b")
    assert math.isnan(told.point[0][0])
    assert told.point[0][1] == 5.0


@pytest.mark.parametrize(
    "payload",
    [None, "text", b"bytes", 3.0, [], {}, [[1.0]], ["x"] * 4, {"a": "x"}, [1.0], [1e400, {}, 1, 2]],
)
def test_a_broken_sample_is_rejected_and_poisons_nothing(payload: object) -> None:
    """What is no sample of the series changes nothing: the next forecasts are the same."""
    first, second = World(), World()
    rows = walk(60)
    for number, row in enumerate(rows[:40]):
        said(first, sample(number, row))
        said(second, sample(number, row))
    (told,) = said(first, sample(40, payload))
    assert isinstance(told, Rejected)
    assert told.reason
    assert told.hint
    for number, row in enumerate(rows[40:], 40):
        assert said(first, sample(number, row)) == said(second, sample(number, row))


def test_a_failure_is_told() -> None:
    """Links that jump together are told as a change, at that sample."""
    world = World()
    rows = walk(200, 6)
    for number, row in enumerate(rows):
        assert len(said(world, sample(number, row))) == 1
    changed, told = said(world, sample(200, rows[-1] * np.array([0.0, 1.5, 1.4, 1.6, 1, 1])))
    assert isinstance(changed, ChangePoint)
    assert changed.observation_id == "links:200"
    assert set(changed.channels) >= {"1", "2", "3"}
    assert isinstance(told, SeriesForecast)
    assert 1400 < told.point[0][1] < 1600


def test_a_forget_request_reaches_series() -> None:
    """What was followed of a subject is gone, and a receipt says so; others go on."""
    world = World()
    for number, row in enumerate(walk(30)):
        said(world, sample(number, row, "mine", "me"))
        said(world, sample(number, row, "yours", "you"))
    (receipt,) = said(world, ForgetRequest("f", Selector(subject="me"), 0))
    assert isinstance(receipt, Receipt)
    assert list(world.runtime.series.state()) == ["yours"]
    (told,) = said(world, ForgetRequest("g", Selector(stream="nobody's"), 0))
    assert isinstance(told, Rejected)


def at_s(seconds: int, subject: str = "") -> Observation:
    """A sample that was taken at some second."""
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
def test_a_time_range_reaches_samples_that_came_out_of_order(order: tuple[int, ...]) -> None:
    """A series ends with its latest sample, not with the one that came last."""
    world = World()
    for seconds in order:
        said(world, at_s(seconds))
    (told,) = said(world, ForgetRequest("f", Selector(from_ns=201 * 10**9), 0))
    assert isinstance(told, Rejected)
    (receipt,) = said(world, ForgetRequest("g", Selector(from_ns=150 * 10**9), 0))
    assert isinstance(receipt, Receipt)
    assert world.runtime.series.state() == {}


def test_the_end_of_a_span_outlives_a_restart() -> None:
    """A restored series is reached by the same requests as the one that was saved."""
    first, second = World(), World()
    for seconds in (100, 200, 50):
        said(first, at_s(seconds))
    second.runtime.series.restore(first.runtime.series.state())
    assert not second.runtime.series.forget(Selector(from_ns=201 * 10**9))
    assert second.runtime.series.forget(Selector(from_ns=150 * 10**9))


def test_a_state_of_an_older_version_goes_on() -> None:
    """Older states lack the end of the span: the series goes on as it was, and no request to forget
    from some time on misses it."""
    first, second = World(), World()
    rows = walk(60)
    for number, row in enumerate(rows[:40]):
        said(first, sample(number, row))
    state = first.runtime.series.state()
    from_ns, _, last_ns, samples = state["links"]["times"]
    state["links"]["times"] = np.array([from_ns, last_ns, samples])
    second.runtime.series.restore(state)
    for number, row in enumerate(rows[40:], 40):
        assert said(first, sample(number, row)) == said(second, sample(number, row))
    assert second.runtime.series.forget(Selector(from_ns=10**15))


def test_a_series_of_very_many_subjects_is_anybodys() -> None:
    """Subjects beyond the limit are not noted, so a request to forget any of them drops it all."""
    world = World()
    for number in range(limits.SERIES_SUBJECTS_MAX - 1):
        said(world, sample(number, [1.0], subject=f"s{number}"))
    assert not world.runtime.series.forget(Selector(subject="unheard"))
    for number in range(limits.SERIES_SUBJECTS_MAX, limits.SERIES_SUBJECTS_MAX + 2):
        said(world, sample(number, [1.0], subject=f"s{number}"))
    assert world.runtime.series.forget(Selector(subject=f"s{limits.SERIES_SUBJECTS_MAX + 1}"))


def test_subjects_have_a_limit_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many series are followed says nothing about how many subjects of one are noted."""
    monkeypatch.setattr(limits, "SERIES_MAX", 2)
    world = World()
    for number in range(4):
        said(world, sample(number, [1.0], subject=f"s{number}"))
    assert not world.runtime.series.forget(Selector(subject="unheard"))
    assert world.runtime.series.forget(Selector(subject="s3"))


def test_what_is_followed_is_bounded() -> None:
    """Beyond the limit, the series that is silent longest goes."""
    world = World()
    for number in range(limits.SERIES_MAX + 2):
        said(world, sample(0, [1.0], f"s{number}"))
    held = list(world.runtime.series.state())
    assert len(held) == limits.SERIES_MAX
    assert held[0] == "s2"
    (told,) = said(world, sample(1, [1.0] * (limits.SERIES_CHANNELS_MAX + 1)))
    assert isinstance(told, Rejected)


def test_a_session_may_be_saved() -> None:
    """A runtime with another's series says what that one says; a state that does not fit is
    refused and changes nothing."""
    first, second = World(), World()
    rows = walk(60)
    for number, row in enumerate(rows[:40]):
        said(first, sample(number, row, subject="me"))
    state = first.runtime.series.state()
    second.runtime.series.restore(state)
    for number, row in enumerate(rows[40:], 40):
        assert said(first, sample(number, row)) == said(second, sample(number, row))
    state["links"] |= {"forecaster/history.course": np.zeros(9)}
    third = World()
    with pytest.raises(StateError):
        third.runtime.series.restore(state)
    assert third.runtime.series.state() == {}


def test_settings_reach_the_forecaster() -> None:
    """Horizons are those of the config; where forecasting is off, samples are rejected."""
    world = World(config=Config(horizons=(2,), periods=(("links", 12),)))
    (told,) = said(world, sample(0, [1.0, 2.0]))
    assert told.horizons == (2,)
    off = World(config=Config(forecast=False))
    (told,) = said(off, sample(0, [1.0]))
    assert isinstance(told, Rejected)
    assert "off" in told.reason
    with pytest.raises(ConfigError):
        Config(horizons=(3, 1))
    with pytest.raises(ConfigError):
        Config(periods=(("s", 1),))


def test_daemon_and_command_line_share_one_default_detector() -> None:
    """Fewer than six channels are watched by cusum, more by joint; the configuration may name
    another kind."""
    assert [default_detector(channels) for channels in (1, 5, 6, 30)] == ["cusum"] * 2 + [
        "joint"
    ] * 2
    for channels, config, kind in ((5, Config(), "level"), (6, Config(detector="cusum"), "level")):
        rows = 20 + np.random.default_rng(3).normal(scale=0.2, size=(120, channels))
        rows[80:, 1] += 15
        world = World(config=config)
        heard = [one for n, row in enumerate(rows) for one in said(world, sample(n, row))]
        changes = [one for one in heard if isinstance(one, ChangePoint)]
        assert [(one.change, one.channels) for one in changes] == [(kind, ("1",))]


def test_an_unknown_detector_is_refused_with_the_nearest_known_one() -> None:
    """A misspelt kind names the kind that was meant."""
    with pytest.raises(ConfigError, match="did you mean cusum") as caught:
        Config(detector="cusm")
    assert "cusm" in caught.value.message


@pytest.mark.parametrize("kind", ["joint", None])
def test_a_series_stored_with_another_detector_keeps_its_forecaster(kind: str | None) -> None:
    """State of a joint detector, named or from a version that named none, goes on forecasting and
    finds a step in one channel from then on."""
    rows = 20 + np.random.default_rng(3).normal(scale=0.2, size=(160, 2))
    rows[120:, 1] += 15
    before, after = World(config=Config(detector="joint")), World()
    for n, row in enumerate(rows[:60]):
        said(before, sample(n, row))
    state = before.runtime.series.state()
    if kind is None:
        del state["links"]["detector_kind"]
    after.runtime.series.restore(state)
    pairs = [
        (said(before, sample(n, rows[n])), said(after, sample(n, rows[n]))) for n in range(60, 160)
    ]
    assert all(old[-1] == new[-1] for old, new in pairs)
    assert [type(one) for _, new in pairs for one in new].count(ChangePoint) == 1
