"""Forgetting samples of a series: the twin that never received them has the same state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.core import limits
from edge.core.columns import NamedValues
from edge.core.events import ChangePoint, ForgetRequest, Observation, Publish, SeriesForecast
from edge.core.facts import Selector
from edge.core.forecasting import series
from edge.core.forecasting.replay_buffer import selected_ranges
from edge.core.forecasting.sample_block import SampleBlock
from edge.core.forecasting.series import SeriesTracker
from edge.core.receipt import Receipt, SeriesForgotten
from tests.series import BEGIN_NS, STEP_NS, demand, differing, sample, tracker
from tests.worlds import World

COUNT = 330


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a hundred samples: three hundred are kept."""
    monkeypatch.setattr(limits, "SERIES_PART_SAMPLES", 100)


def span(first: int, last: int) -> Selector:
    """Select the times of some samples."""
    return Selector(
        stream="load", from_ns=BEGIN_NS + first * STEP_NS, until_ns=BEGIN_NS + last * STEP_NS
    )


def finish(made: SeriesTracker) -> int:
    """Process all waiting samples again; returns how many."""
    count = 0
    while made.replay() is not None:
        count += 1
    return count


@pytest.mark.parametrize(
    ("first", "last"), [(105, 107), (199, 201), (200, 201), (250, 330), (328, 330)]
)
def test_a_forgotten_hour_leaves_the_state_of_a_twin(first: int, last: int) -> None:
    """After forgetting samples of real demand, forecaster, detector and scorer equal, bit for bit,
    those of a twin that never received them, and so does the next forecast."""
    rows = demand(COUNT + 1)
    events = [sample(n, row) for n, row in enumerate(rows)]
    made = tracker(events[:COUNT])
    assert made.forget(span(first, last)) == (SeriesForgotten("load", last - first, "replayed", 0),)
    finish(made)
    twin = tracker([*events[:first], *events[last:COUNT]])
    assert differing(made, twin) == []
    assert list(made.process(events[COUNT])) == list(twin.process(events[COUNT]))


def test_a_replay_starts_at_the_state_before_the_forgotten_sample() -> None:
    """At most a part is processed again beyond the samples that came later."""
    made = tracker(sample(n, row) for n, row in enumerate(demand(COUNT)))
    made.forget(span(COUNT - 2, COUNT))
    assert finish(made) == 28


def test_samples_that_are_not_kept_restart_the_series_and_are_named_before() -> None:
    """Where the state before a forgotten sample is not kept, the preview says how many samples are
    lost, and the series equals a twin that began with the kept ones."""
    events = [sample(n, row) for n, row in enumerate(demand(COUNT))]
    made = tracker(events)
    expected = (SeriesForgotten("load", 10, "restarted", 100),)
    assert made.preview(span(90, 110)) == expected
    assert made.forget(span(90, 110)) == expected
    finish(made)
    assert differing(made, tracker(events[110:])) == []
    made.forget(span(110, 112))
    finish(made)
    assert differing(made, tracker(events[112:])) == []


def test_samples_that_arrive_during_a_replay_are_processed_after_it() -> None:
    """While samples are processed again, forecasts say that they are provisional and repeat the
    sample; afterwards the state is that of the twin."""
    rows = demand(COUNT)
    events = [sample(n, row) for n, row in enumerate(rows)]
    made = tracker(events[:300])
    made.forget(span(250, 252))
    made.replay()
    for event, row in zip(events[300:], rows[300:], strict=True):
        (message,) = made.process(event)
        assert isinstance(message, SeriesForecast)
        assert message.provisional
        assert message.point[0] == tuple(row)
    replayed = []
    while (one := made.replay()) is not None:
        replayed.append(one)
    assert [one.fresh for one in replayed] == [False] * (len(replayed) - 30) + [True] * 30
    assert not any(one.unchanged for one in replayed[49:])
    twin = tracker([*events[:250], *events[252:]])
    assert differing(made, twin) == []
    (again,) = made.process(sample(COUNT, rows[0]))
    assert isinstance(again, SeriesForecast)
    assert not again.provisional


def test_waiting_samples_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit each new sample lets an older one be processed, whose forecast was published
    before, or is published once; the state is that of the twin."""
    monkeypatch.setattr(series, "_WAITING_MAX", 60)
    events = [sample(n, row) for n, row in enumerate(demand(COUNT))]
    made = tracker(events[:250])
    made.forget(span(205, 207))
    published = [one for event in events[250:] for one in made.process(event)]
    (waiting,) = (len(one.waiting) for one in made.saved())
    assert waiting == 60
    forecasts = [one for one in published if isinstance(one, SeriesForecast)]
    assert len([one for one in forecasts if one.provisional]) == COUNT - 250
    final = [one.observation_id for one in forecasts if not one.provisional]
    assert final == [f"load:{n}" for n in range(250, COUNT - 60)]
    finish(made)
    assert differing(made, tracker([*events[:205], *events[207:]])) == []


def test_a_change_during_a_replay_is_reported_by_it() -> None:
    """A change in a sample that arrives during a replay is found when that sample is processed."""
    rows = 1000 + np.cumsum(np.random.default_rng(0).normal(size=(220, 6)), axis=0)
    made = tracker(sample(n, row) for n, row in enumerate(rows))
    made.forget(span(150, 152))
    list(made.process(sample(220, rows[-1] * np.array([0.0, 1.5, 1.4, 1.6, 1, 1]))))
    found = []
    while (one := made.replay()) is not None:
        found += [message for message in one.messages if one.fresh]
    assert any(isinstance(one, ChangePoint) and one.observation_id == "load:220" for one in found)


@pytest.mark.parametrize("second", [(150, 152), (210, 212), (305, 307)])
def test_a_forget_during_a_replay(second: tuple[int, int]) -> None:
    """A second request reaches samples that were, are and will be processed again."""
    events = [sample(n, row) for n, row in enumerate(demand(COUNT))]
    made = tracker(events[:300])
    made.forget(span(200, 202))
    for _ in range(20):
        made.replay()
    for event in events[300:]:
        list(made.process(event))
    assert made.forget(span(*second)) == (SeriesForgotten("load", 2, "replayed", 0),)
    finish(made)
    gone = {200, 201, *range(*second)}
    twin = tracker(one for n, one in enumerate(events) if n not in gone)
    assert differing(made, twin) == []


@pytest.mark.parametrize(
    "selector",
    [
        span(40, 42),
        Selector(subject="Ada"),
        Selector(recording="run 7"),
        Selector(ids=frozenset({"first", "load:41"})),
        Selector(stream="load", subject="Ada", recording="run 7"),
    ],
    ids=["time", "subject", "recording", "id", "all"],
)
def test_samples_out_of_order_are_reached(selector: Selector) -> None:
    """Samples that arrived late or shuffled are found by time, subject, recording and id, and the
    state equals that of the twin in the order of arrival."""
    rows = demand(120)
    chosen = {
        40: {"id": "first", "subject": "Ada", "recording": "run 7"},
        41: {"subject": "Ada", "recording": "run 7"},
    }
    order = [*range(40), *range(60, 90), 41, *range(42, 60), 40, *range(90, 120)]
    events = {n: sample(n, rows[n], **chosen.get(n, {"subject": "Bo"})) for n in range(120)}
    made = tracker(events[n] for n in order)
    assert made.forget(selector) == (SeriesForgotten("load", 2, "replayed", 0),)
    finish(made)
    assert differing(made, tracker(events[n] for n in order if n not in chosen)) == []


def payloads(kind: str) -> list[Any]:
    """Samples as numbers by channel, or as fields of messages of which some come and go."""
    rows = demand(120)
    if kind == "named":
        made = [{"price": row[0], "demand": row[1]} for row in rows]
        made[30] = {"demand": rows[30, 1]}
        made[70] = {"price": 1.0, "demand": None, "wind": 3.0}
        return made
    fields = [NamedValues(("a", "b"), row) for row in rows]
    fields[50] = NamedValues(("b", "odd"), np.array([1.0, 2.0]))
    return fields


@pytest.mark.parametrize("kind", ["named", "fields"])
@pytest.mark.parametrize("gone", [0, 30, 50, 70])
def test_channels_of_forgotten_samples_leave_with_them(kind: str, gone: int) -> None:
    """The twin's channels follow from its own first sample and from the names that it received."""
    events = [sample(n, payload) for n, payload in enumerate(payloads(kind))]
    made = tracker(events)
    made.forget(span(gone, gone + 1))
    finish(made)
    twin = tracker(one for n, one in enumerate(events) if n != gone)
    assert differing(made, twin) == []
    assert made.channels("load") == twin.channels("load")


def test_other_series_and_selectors_of_facts_are_not_reached() -> None:
    """A label or domain selects no sample; neither does the id of another observation."""
    made = tracker(sample(n, [1.0]) for n in range(COUNT))
    before = made.state()
    for selector in (
        Selector(label="a"),
        Selector(domain="home", stream="load"),
        Selector(ids=frozenset({"cam:7"})),
        Selector(stream="other"),
        Selector(subject="Ada"),
    ):
        assert made.preview(selector) == ()
        assert made.forget(selector) == ()
    assert made.replaying == ()
    assert np.array_equal(made.state()["load"]["times"], before["load"]["times"])


def test_an_id_of_a_lost_sample_restarts_the_series() -> None:
    """An id of the daemon's form that is not kept may be of a lost sample."""
    made = tracker(sample(n, [float(n)]) for n in range(COUNT))
    (found,) = made.forget(Selector(ids=frozenset({"load:3"})))
    assert (found.outcome, found.lost_samples) == ("restarted", 100)
    assert made.forget(Selector(ids=frozenset({"load:4"}))) == ()


def test_buffers_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of all series, states between parts go first and samples after them, of
    the series silent for longest; it then restarts, and the active one is still exact."""
    events = [sample(n, row) for n, row in enumerate(demand(COUNT))]
    others = [replace(one, stream="old") for one in events]
    made = tracker(others)
    kept = made.preview(Selector(stream="old"))
    size = sum(one.buffer.nbytes for one in made.saved())
    monkeypatch.setattr(limits, "SERIES_BUFFER_BYTES_MAX", size + 100_000)
    for event in events:
        list(made.process(event))
    assert sum(one.buffer.nbytes for one in made.saved()) <= size + 1_000_000
    assert kept == (SeriesForgotten("old", 230, "restarted", 100),)
    assert (
        made.preview(msgspec.structs.replace(span(300, 302), stream="old"))[0].outcome
        == "restarted"
    )
    assert made.preview(span(300, 302))[0].outcome == "replayed"


def test_a_block_of_samples_is_read_as_it_was_written() -> None:
    """Samples of every kind of payload have the same fields after a round trip; columns that do not
    belong together are refused."""
    block = tracker(
        sample(n, payload, subject=f"s{n % 3}") for n, payload in enumerate(payloads("named"))
    )
    (saved,) = block.saved()
    samples = saved.buffer.parts[0].samples
    again = SampleBlock.of(samples.arrays())
    for one, other in zip(samples, again, strict=True):
        assert one[:5] == other[:5]
        assert np.array_equal(one.values, other.values, equal_nan=True)
    for name in ("values", "layouts", "keys"):
        short = samples.arrays()
        short[name] = short[name][:-1]
        with pytest.raises(ValueError, match="columns"):
            SampleBlock.of(short)


def test_the_receipt_names_the_series() -> None:
    """A runtime without background work has processed everything again before the receipt, which
    names the series, the samples and the outcome."""
    world, twin = World(), World()
    rows = demand(60)

    def feed(target: World, event: Observation) -> None:
        target.runtime.handle(event)

    for number, row in enumerate(rows):
        feed(world, sample(number, row))
        if number not in (20, 21):
            feed(twin, sample(number, row))
    effects = world.runtime.handle(
        ForgetRequest(request_id="r", selector=span(20, 22), requested_at_ns=0)
    )
    (receipt,) = (one.message for one in effects if isinstance(one, Publish))
    assert isinstance(receipt, Receipt)
    assert receipt.series == (SeriesForgotten("load", 2, "replayed", 0),)
    assert world.runtime.series.replaying == ()
    assert differing(world.runtime.series, twin.runtime.series) == []


def test_forgotten_times_are_those_of_the_selected_samples() -> None:
    """A selector of times means all of its times up to the last sample it matches; any other means
    runs of its samples, so that no time of another sample is refused."""
    times, gone = np.arange(10, 70, 10), np.array([False, True, True, False, True, False])
    by_time = Selector(stream="s", from_ns=15, until_ns=1_000)
    assert selected_ranges("s", times, gone, by_time) == (("s", 15, 51),)
    by_subject = Selector(subject="Zaphod")
    found = selected_ranges("s", times[::-1], gone[::-1], by_subject)
    assert found == (("s", 20, 31), ("s", 50, 51))
    nothing = np.zeros(6, bool)
    assert selected_ranges("s", times, nothing, Selector(stream="s", until_ns=5)) == (("s", 0, 5),)
    assert selected_ranges("s", times, nothing, by_subject) == ()
