from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from edge.cli.views import status as top_view
from edge.cli.views.status import duration, render_status, size
from edge.core.recalibration import CalibrationStatus
from edge.mqtt.messages import (
    AdaptorStatus,
    BrokerStatus,
    DaemonStatus,
    HomeStatus,
    OutboxStatus,
    StreamStatus,
)


def snapshot(**changes: Any) -> DaemonStatus:
    """A daemon with one stream in drift alarm."""
    fields: dict[str, Any] = {
        "device": "gate-1",
        "version": "1.0",
        "state": "degraded",
        "run": 3,
        "uptime_s": 90_061.0,
        "rss_mib": 98.4,
        "cpu_percent": 12.0,
        "written_bytes_day": 3 << 20,
        "clock": "set",
        "settings": "auricle.toml",
        "outbox": OutboxStatus(waiting=7, nbytes=2_048, oldest_s=61.0, sequence=900, dropped=2),
        "streams": (
            StreamStatus(
                name="cam[red]",
                source="folder",
                home="",
                novel_percent=75.0,
                alarmed=True,
                domain="night",
                label="cat",
                decided=12,
            ),
        ),
        "homes": (
            HomeStatus(
                name="",
                encoder="efficientnet_lite0",
                facts=40,
                concepts=4,
                candidates=3,
                adaptors=(AdaptorStatus("night", 2, "linear", 20),),
                growing="day",
            ),
        ),
        "broker": BrokerStatus(
            address="mqtt://localhost:1883",
            online=False,
            since_s=5.0,
            connects=2,
            reasons={"not authorized": 3},
            problem="connection refused",
        ),
        "problems": ("home audio: its card has gone",),
    } | changes
    return DaemonStatus(**fields)


def drawn(status: DaemonStatus, width: int = 160) -> str:
    """The output at a terminal of a given width."""
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(render_status(status, width))
    return shown.get()


@pytest.mark.parametrize(
    "word",
    [
        "gate-1",
        "degraded",
        "1 d 1 h",
        "98 MiB",
        "3.0 MiB a day",
        "cam[red]",
        "75 %",
        "drift alarm",
        "night",
        "cat",
        "night linear v2",
        "growing day",
        "offline",
        "7 (2.0 KiB)",
        "connection refused",
        "home audio: its card has gone",
    ],
)
def test_a_snapshot_shows(word):
    """A snapshot shows every figure, and names are not interpreted as markup."""
    assert word in drawn(snapshot())


def test_the_observed_false_alarms_stand_beside_the_chosen_rate():
    """A stream with observations has a row of rates; one without has none; a lasting alarm is shown
    with the verb that answers it."""
    home = HomeStatus(name="", false_alarm_rate=0.01)
    stream = StreamStatus(
        name="pump",
        source="topic",
        home="",
        alarmed=True,
        observed_rate=0.0312,
        observed_low=0.0081,
        observed_high=0.0954,
        question_at_ns=5,
    )
    seen = drawn(snapshot(streams=(stream,), homes=(home,)))
    for text in ("1.0 %", "3.1 %", "0.81 % to 9.5 %", "lasting alarm: auricle confirm"):
        assert text in seen
    assert "95 % interval" not in drawn(snapshot())


def test_what_the_calibration_does_not_cover_is_shown():
    """Domains without usable times, and domains whose rate is not attainable, have a line each."""
    fields: dict[str, Any] = {"samples": 9, "effective_samples": 9, "blocks": 0, "block_samples": 0}
    bare = CalibrationStatus(domain="hall", exchangeable=True, **fields)
    few = CalibrationStatus(domain="yard", exchangeable=False, shortfall="too few", **fields)
    seen = drawn(snapshot(homes=(HomeStatus(name="", calibration=(bare, few)),)))
    assert "calibration: domain hall: facts without usable times count as independent" in seen
    assert "calibration: domain yard: too few" in seen
    assert "calibration" not in drawn(snapshot())


def test_a_narrow_terminal_loses_no_state():
    """With 80 columns nothing is left out and every value has its name."""
    seen = drawn(snapshot(), 80)
    heads = ("stream", "source", "domain", "rejected", "adaptors", "delivery", "reasons")
    assert [name for name in heads if name not in seen] == []


def test_a_pipe_gets_whole_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside a terminal no cell is folded: each stream is one line with its whole names."""
    stream = StreamStatus(
        name="vibration-pump-7", source="topic", home="", alarmed=True, domain="workshop-north"
    )
    top_view.show_status(snapshot(streams=(stream,)))
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("vibration-pump-7"))
    assert "workshop-north" in row
    assert row.rstrip().endswith("drift alarm")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_splits_no_word(width):
    """Names and states are not broken, and lines fit the terminal."""
    stream = StreamStatus(
        name="vibration-pump-7",
        source="topic",
        home="",
        alarmed=True,
        domain="domain-2",
        label="bearing-worn",
        decided=123_456,
    )
    broker = BrokerStatus(address="mqtt://broker.local:1883", online=True, since_s=90_000.0)
    lines = drawn(snapshot(streams=(stream,), broker=broker), width).splitlines()
    assert max(map(len, lines)) <= width
    whole = (
        "vibration-pump-7",
        "drift alarm",
        "domain domain-2",
        "label bearing-worn",
        "answered 123456",
        "encoder efficientnet_lite0",
        "mqtt://broker.local:1883",
    )
    assert [word for word in whole if not any(word in line for line in lines)] == []


def test_names_cannot_steer_the_terminal():
    """Control characters in names are shown, not obeyed."""
    shown = drawn(snapshot(streams=(StreamStatus(name="\x1b[2Jx", source="topic", home=""),)))
    assert "\x1b[2J" not in shown


def test_status_without_a_broker():
    """A daemon that publishes nowhere has no connection to show."""
    assert "no broker" in drawn(snapshot(broker=None))


def test_following_ends_with_the_daemon(monkeypatch, capsys):
    """Outside a terminal one snapshot is printed."""
    monkeypatch.setattr(top_view, "console", Console(width=100, force_terminal=False))
    top_view.follow_status(iter([snapshot()]).__next__, 0.01)
    assert "gate-1" in capsys.readouterr().out
    top_view.follow_status(lambda: None, 0.01)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (59, "59 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min"), (200_000, "2 d 7 h")],
)
def test_times_have_two_units(seconds, text):
    """From tenths of seconds to days."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("nbytes", "text"), [(5, "5 B"), (2_048, "2.0 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")]
)
def test_sizes_have_the_unit_that_fits(nbytes, text):
    """From bytes to GiB."""
    assert size(nbytes) == text
