"""Forgetting an hour of a series through a live daemon, and through the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core import limits
from edge.sources.measurement import Measurement, MeasurementMetadata
from tests.daemons import Served, daemon_home, served
from tests.edge.daemon.test_console_queries import ask, body
from tests.homes import run
from tests.series import BEGIN_NS, STEP_NS, demand

DOOR = '[streams.load]\nsource = "http"\nkind = "series"\n'
HOUR = {"from_ns": BEGIN_NS + 40 * STEP_NS, "until_ns": BEGIN_NS + 42 * STEP_NS}


def offer(here: Served, numbers: range) -> None:
    """Send samples of real demand and wait for their forecasts."""
    rows = demand(80)
    for number in numbers:
        given = MeasurementMetadata(captured_at_ns=BEGIN_NS + number * STEP_NS, id=f"n{number}")
        here.daemon.inbox.offer(Measurement("load", rows[number], given))
    here.until(partial(answered, here, f"n{numbers[-1]}"))


def answered(here: Served, key: str) -> bool:
    """Whether a sample has a forecast."""
    return any(one["observation_id"] == key for one in here.kinds("forecast"))


def settled(here: Served) -> None:
    """Wait until everything is processed again and the receipt is there."""
    home = here.daemon.homes[""].home
    assert home is not None
    here.until(lambda: not (home.runtime.series.replaying or home.runtime.forgetting))


def forecast(here: Served, key: str) -> dict[str, Any]:
    """The newest forecast of a sample, without the numbers of its message.  Messages that had to
    wait may be sent after newer ones."""
    found = [one for one in here.kinds("forecast") if one["observation_id"] == key]
    names = ("point", "low", "high", "anomaly_score", "provisional")
    return {name: found[-1][name] for name in names}


def test_a_forgotten_hour_costs_the_next_forecasts_nothing(tmp_path: Path) -> None:
    """A daemon that forgets an hour says before what will happen, answers with a receipt that names
    the series, marks forecasts meanwhile, and then forecasts as a daemon that never received the
    hour; no message of the hour or after it is kept."""
    with served(daemon_home(tmp_path / "twin", DOOR)) as twin:
        offer(twin, range(40))
        offer(twin, range(42, 80))
        expected = forecast(twin, "n79")
    with served(daemon_home(tmp_path / "one", DOOR)) as here:
        offer(here, range(43))
        effect = {"stream": "load", "samples": 2, "outcome": "replayed", "lost_samples": 0}
        assert body(here, "forget-preview", select=HOUR)["series"] == [effect]
        assert ask(here, "forget", select=HOUR)["done"]
        settled(here)
        (receipt,) = body(here, "receipts", limit=1)["receipts"]
        assert receipt["series"] == [effect]
        held = {
            one["observation_id"]
            for one in body(here, "feed", since=0)["messages"]
            if "observation_id" in one
        }
        assert held == {"n39"}
        chart = body(here, "series", stream="load", forecasts=1)
        assert len(chart["at_ns"]) == 41
        assert HOUR["from_ns"] not in chart["at_ns"]
        offer(here, range(43, 80))
        assert forecast(here, "n79") == expected


def test_forgotten_samples_that_come_again_are_refused(tmp_path: Path) -> None:
    """Samples of a forgotten hour that are delivered again, under the same ids or others, are
    refused with the reason, also after a restart; samples of other times are processed, and no name
    of the series is in the file."""
    folder = daemon_home(tmp_path, DOOR)
    with served(folder) as here:
        offer(here, range(43))
        assert ask(here, "forget", select={"stream": "load", **HOUR})["done"]
        settled(here)
        refused_again(here, "n40")
    with served(folder) as here:
        refused_again(here, "m41")
        offer(here, range(43, 45))
        expected = forecast(here, "n44")
    with served(daemon_home(tmp_path / "twin", DOOR)) as twin:
        offer(twin, range(40))
        offer(twin, range(42, 45))
        assert forecast(twin, "n44") == expected


def test_with_duplicates_off_forgotten_samples_may_come_again(tmp_path: Path) -> None:
    """A request with duplicates off keeps no times: corrected samples of the hour are processed."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        offer(here, range(43))
        assert ask(here, "forget", select={"stream": "load", **HOUR}, duplicates="off")["done"]
        settled(here)
        resend(here, "n40")
        here.until(partial(answered, here, "n40"))


def resend(here: Served, key: str) -> None:
    """Send a sample of the forgotten hour under this id."""
    number = int(key[1:])
    given = MeasurementMetadata(captured_at_ns=BEGIN_NS + number * STEP_NS, id=key)
    here.daemon.inbox.offer(Measurement("load", demand(80)[number], given))


def refused_again(here: Served, key: str) -> None:
    """Send a sample of the forgotten hour again, and wait until it is refused."""
    resend(here, key)
    here.until(lambda: [one for one in here.kinds("rejected") if one["subject_id"] == key])
    (found,) = (one for one in here.kinds("rejected") if one["subject_id"] == key)
    assert "samples of this time were forgotten" in found["reason"]


def test_forecasts_say_that_they_are_provisional(tmp_path: Path, monkeypatch) -> None:
    """While samples are processed again, a sample is answered at once with its own value and the
    mark; when they are done, forecasts carry bounds again."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        offer(here, range(60))
        monkeypatch.setattr("edge.home.series_replay.REPLAY_S", 0.0)
        assert ask(here, "forget", select=HOUR)["done"]
        offer(here, range(60, 61))
        answer = forecast(here, "n60")
        assert answer["provisional"]
        assert np.allclose(answer["point"][0], demand(80)[60])
        assert answer["low"][0] == [None, None]
        monkeypatch.undo()
        settled(here)
        answer = forecast(here, "n60")
        assert not answer["provisional"]
        assert answer["low"][0] != [None, None]


def test_the_command_line_says_beforehand_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auricle forget` names the effect on a series before it asks, and in the receipt, also where
    no fact matches."""
    monkeypatch.setattr(limits, "SERIES_PART_SAMPLES", 20)
    folder = daemon_home(tmp_path, DOOR)
    with served(folder) as here:
        offer(here, range(70))
    since, until = ("2001-09-09T21:46:40", "2001-09-09T22:46:40")
    selection = ("forget", "--home", folder, "--stream", "load", "--since", since, "--until", until)
    refused = run(*selection, answer="n\n")
    assert refused.exit_code != 0
    assert "series load: 2 samples forgotten; the forecaster continues" in refused.stderr
    done = run(*selection, "--yes")
    assert "load: 2 samples forgotten, forecaster replayed" in done.stdout
    lost = run("forget", "--home", folder, "--stream", "load", "--yes")
    assert "from 20 older ones, which are not kept" in lost.stderr
    assert "forecaster restarted, 20 other samples lost" in lost.stdout
