from __future__ import annotations

from typing import Any

import pytest

from edge.config.streams import HttpStream
from edge.core.events import ChangePoint, Decision, DriftAlarm, SeriesAnomaly, SeriesForecast
from edge.daemon.stream_counters import NOVEL_WINDOW, RATE_SECONDS, REJECTED_MAX, StreamCounters
from edge.logs import REASON_CHARS

S = 10**9


def decision(*, known: bool = True, alarm: bool = False, label: str | None = "a") -> Decision:
    """A decision."""
    return Decision(
        observation_id="s:1",
        stream="s",
        captured_at_ns=7,
        known=known,
        domain="hall",
        label=label,
        guess="a",
        score=1.0,
        p_value=0.5,
        window_p=1.0,
        alarm=alarm,
    )


def test_ids_are_of_the_run():
    """Numbers rise by one, and the id contains stream, run and number."""
    stream = StreamCounters("s", HttpStream(), "12")
    assert [stream.number() for _ in range(2)] == [(1, "s:12-1"), (2, "s:12-2")]


def test_the_pace_is_kept_with_a_burst_of_a_second():
    """At rate_max all pass; after a pause a burst of one second may pass, and no more."""
    stream = StreamCounters("s", HttpStream(rate_max=10.0), "1")
    at = 1_000 * S
    assert sum(stream.allows(at + n * S // 10) for n in range(100)) == 100
    at += 1_000 * S
    assert sum(stream.allows(at) for _ in range(100)) == 10
    free = StreamCounters("s", HttpStream(), "1")
    assert all(free.allows(at) for _ in range(1_000))


def test_decisions_are_shown():
    """The status has the newest decision, the share of novel ones in the window, alarms, and the
    rate."""
    stream = StreamCounters("s", HttpStream(home="far", kind="sample"), "1")
    assert stream.status().novel_percent is None
    for _ in range(NOVEL_WINDOW):
        stream.count(decision())
    for _ in range(NOVEL_WINDOW // 4):
        stream.count(decision(known=False, label=None))
    stream.count(
        DriftAlarm(
            stream="s",
            observation_id="s:1",
            captured_at_ns=7,
            raised=True,
            window_p=0.001,
            domain="d",
        )
    )
    for _ in range(RATE_SECONDS):
        stream.sample()
    shown = stream.status()
    assert (shown.source, shown.home, shown.novel_percent) == ("http", "far", 25.0)
    assert (shown.alarmed, shown.domain, shown.label) == (True, "hall", "")
    assert shown.per_second == shown.decided / RATE_SECONDS


def test_a_series_counts_its_forecasts():
    """Forecasts count as answers and in the rate; change points are counted separately."""
    stream = StreamCounters("s", HttpStream(kind="series"), "1")
    for _ in range(30):
        stream.count(
            SeriesForecast(
                stream="s",
                observation_id="s:1",
                captured_at_ns=7,
                channels=("a",),
                horizons=(1,),
                point=((1.0,),),
                low=((0.0,),),
                high=((2.0,),),
            )
        )
    stream.count(
        ChangePoint(
            stream="s",
            observation_id="s:1",
            captured_at_ns=7,
            change="jump",
            channels=("a",),
            severity=0.5,
            regime=1,
            late=0,
        )
    )
    stream.sample()
    shown = stream.status()
    assert (shown.forecasts, shown.change_points, shown.decided) == (30, 1, 0)
    assert (shown.per_second, shown.last_at_ns) == (30, 7)


def test_anomalies_count_as_alarms_and_reach_the_log(caplog: pytest.LogCaptureFixture):
    """An anomaly counts as an alarm and is logged with channels and scale; the stream is alarmed
    while the samples are."""
    stream = StreamCounters("s", HttpStream(kind="series"), "1")
    place: dict[str, Any] = {"stream": "s", "observation_id": "s:1", "captured_at_ns": 7}
    stream.count(
        SeriesAnomaly(**place, score=9.5, p_value=1e-4, limit=3.0, channels=("a",), scale=16)
    )
    table: dict[str, Any] = {"channels": ("a",), "horizons": (1,), "point": ((1.0,),)}
    table |= {"low": ((0.0,),), "high": ((2.0,),)}
    for alarm in (True, False):
        stream.count(SeriesForecast(**place, **table, anomaly_alarm=alarm))
        assert stream.status().alarmed is alarm
    with caplog.at_level("WARNING", logger="auricle"):
        stream.log_news(1.0)
    (fields,) = [vars(record)["fields"] for record in caplog.records]
    assert (fields["channels"], fields["scale"], fields["score"]) == (["a"], 16, 9.5)
    assert stream.status().alarms == 1


def test_rejections_in_a_row_are_trouble():
    """Before any answer one is enough; later it takes several, and the next answer clears it."""
    stream = StreamCounters("s", HttpStream(), "1")
    stream.reject("no numbers", "send numbers")
    assert stream.rejecting == "all 1 measurements were rejected: no numbers"
    stream.count(decision())
    for _ in range(REJECTED_MAX - 1):
        stream.reject("no numbers", "")
    assert stream.rejecting == ""
    stream.reject("too long", "")
    assert stream.rejecting == f"the last {REJECTED_MAX} measurements were rejected: too long"
    stream.count(decision())
    assert (stream.rejecting, stream.rejected) == ("", REJECTED_MAX + 1)


def test_lines_of_the_log_are_bounded(caplog: pytest.LogCaptureFixture):
    """However fast a count rises, it causes one line at once and one a minute with the new
    total."""
    stream = StreamCounters("s", HttpStream(), "1")
    with caplog.at_level("WARNING", logger="auricle"):
        for second in range(180):
            for _ in range(1_000):
                stream.reject("x" * 5_000, "")
            stream.log_news(float(second))
    result = [vars(record)["fields"] for record in caplog.records]
    assert [one["count"] for one in result] == [1_000, 60_000, 60_000]
    assert all(len(one["reason"]) <= REASON_CHARS for one in result)
