"""Audits of forget requests that reach samples of series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.audit.audit import audit_receipt, rehearse
from edge.audit.series import keep_series, receipt_finding, rehearsed_finding
from edge.core.errors import ConfigError
from edge.core.events import ForgetRequest, Observation
from edge.core.facts import Selector
from edge.core.forecasting.series import SeriesTracker
from edge.home.home import Home
from tests.audits import digits_home, failing, finding

SECOND_NS = 10**9
SAMPLES = 300
HOUR = Selector(stream="meter", from_ns=200 * SECOND_NS, until_ns=240 * SECOND_NS)
"""Forty samples."""


def samples(stream: str = "meter") -> list[Observation]:
    """A wave with noise, a sample each second."""
    noise = np.random.default_rng(3).normal(0, 0.1, SAMPLES)
    values = np.sin(np.arange(SAMPLES) / 9) + noise
    return [
        Observation(
            stream=stream,
            sequence=at,
            captured_at_ns=(at + 1) * SECOND_NS,
            payload=[float(value)],
            id=f"{stream}-{at}",
            kind="series",
        )
        for at, value in enumerate(values)
    ]


def metered_home(folder: Path, *, facts: int = 60) -> Path:
    """A home of digits that also follows a meter; its series are saved."""
    made = digits_home(folder, facts=facts, forget=False)
    with Home(made.folder) as home:
        for one in samples():
            home.feed(one)
        home.session.save(home.runtime.series)
    return made.folder


def request(home: Home) -> None:
    """Forget the hour, and store what is left."""
    home.feed(ForgetRequest(request_id="hour", selector=HOUR, requested_at_ns=5))
    home.runtime.series.finish_replay()
    home.session.save(home.runtime.series)


def test_a_request_for_samples_alone_is_rehearsed(tmp_path: Path) -> None:
    """A request that matches no fact is audited, too: the forecaster equals its twin's."""
    report = rehearse(metered_home(tmp_path), HOUR, lambda *_: None)
    assert failing(report) == set()
    found = finding(report, "series")
    assert (found.evidence, found.outcome) == ("proven", "holds")
    assert {one.name: one.value for one in found.figures} == {
        "samples_forgotten": 40,
        "equal": 1,
        "different": 0,
        "not_compared": 0,
    }


def test_a_receipt_of_samples_is_audited(tmp_path: Path) -> None:
    """After the request, the stored forecaster follows from the kept samples alone."""
    folder = metered_home(tmp_path)
    with Home(folder) as home:
        request(home)
    report = audit_receipt(folder, "hour", None, lambda *_: None)
    assert failing(report) == set()
    assert finding(report, "series").outcome == "holds"


def test_a_home_without_facts_is_audited(tmp_path: Path) -> None:
    """A home that only follows series has nothing to attack but its files, and the report says
    so."""
    folder = metered_home(tmp_path)
    with Home(folder) as home:
        every = Selector(domain="left"), Selector(domain="right")
        for number, selector in enumerate(every):
            home.feed(ForgetRequest(request_id=f"{number}", selector=selector, requested_at_ns=5))
    report = rehearse(folder, HOUR, lambda *_: None)
    assert failing(report) == set()
    assert finding(report, "series").outcome == "holds"


def test_a_forecaster_that_kept_a_forgotten_sample_is_found(tmp_path: Path) -> None:
    """A tracker that forgets nothing differs from the twin."""
    with Home(metered_home(tmp_path)) as home:
        tracker = home.runtime.series
        matched = tracker.preview(HOUR)
        found = rehearsed_finding(tracker, keep_series(tracker), HOUR, matched)
    assert found.outcome == "fails"
    assert {one.name: one.value for one in found.figures}["different"] == 1


def test_a_series_that_starts_again_equals_a_twin_of_the_kept_samples(tmp_path: Path) -> None:
    """Where the samples before are not kept, the twin starts with the kept ones."""
    with Home(metered_home(tmp_path)) as home:
        tracker = home.runtime.series
        # Of an older version's file: a state without its samples.
        other = tracker.blank()
        other.restore(tracker.state())
        for one in samples()[-20:]:
            moved = one.captured_at_ns + 10_000 * SECOND_NS
            later = Observation(
                stream=one.stream,
                sequence=one.sequence,
                captured_at_ns=moved,
                payload=one.payload,
                id=f"later-{one.id}",
                kind="series",
            )
            assert list(other.process(later))
        kept, matched = keep_series(other), other.preview(HOUR)
        assert [one.outcome for one in matched] == ["restarted"]
        other.forget(HOUR)
        assert rehearsed_finding(other, kept, HOUR, matched).outcome == "holds"


def test_a_kept_sample_of_a_forgotten_time_is_found(tmp_path: Path) -> None:
    """In any series, also in one that the receipt does not name."""
    with Home(metered_home(tmp_path)) as home:
        found = receipt_finding(home.runtime.series, lambda name, at: at == 5 * SECOND_NS, ())
    assert found.outcome == "fails"
    assert "1 kept sample" in found.text


def test_a_request_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    """The error names facts and samples."""
    folder = metered_home(tmp_path)
    with pytest.raises(ConfigError, match="no fact and no sample of a series matches"):
        rehearse(folder, Selector(stream="nowhere"), lambda *_: None)


def test_a_blank_tracker_has_no_series() -> None:
    """It shares the configuration alone."""
    from edge.core.config import Config

    tracker = SeriesTracker(Config())
    assert list(tracker.process(samples()[0]))
    assert tracker.blank().state() == {}
