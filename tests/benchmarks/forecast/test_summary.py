"""How the summary of the benchmark of forecasts is made from the marks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.forecast import run as forecast
from benchmarks.forecast.data import BenchmarkStream
from benchmarks.forecast.evaluate import OURS
from benchmarks.forecast.heavy import HEAVY, is_wanted
from benchmarks.forecast.run import LAST, _ratio, _relative_errors


def stream(name, sample=True):
    """A stream of which only the name counts."""
    empty = np.zeros((1, 1))
    return BenchmarkStream(
        group="group",
        name=name,
        values=empty,
        elapsed_s=empty[0],
        start=0,
        period=2,
        scale=empty[0],
        events=(),
        sample=sample,
    )


def marks(whole, part):
    """Marks with these errors at every horizon."""
    return {"mae": [whole] * 3, "part": [part] * 3, "whole": True}


FIRST, SECOND = stream("first"), stream("second", sample=False)
MARKS = {
    (LAST, "first"): marks(10.0, 10.0),
    (LAST, "second"): marks(1.0, 1.0),
    (OURS, "first"): marks(6.0, 5.0),
    (OURS, "second"): marks(0.8, 0.8),
    ("good", "first"): marks(8.0, 8.0),
    ("good", "second"): marks(0.6, 0.6),
    ("slow", "first"): {**marks(9.0, 10.0), "whole": False},
}


def test_a_ratio_counts_streams_alike():
    """Errors are shares of the last value's before they are averaged over streams."""
    assert _relative_errors(MARKS, [FIRST, SECOND], OURS, "good") == pytest.approx(0.7 / 0.7)


def test_a_peer_of_a_part_is_compared_on_that_part():
    """What ran on a part of one stream is set against ours on the same part."""
    assert _relative_errors(MARKS, [FIRST, SECOND], OURS, "slow") == pytest.approx(0.5)


def test_the_best_peer_is_the_hardest_to_beat():
    """The ratio of a set is the worst over peers, and variants of ours are no peers."""
    ratio, peer = _ratio(MARKS, [FIRST, SECOND], [OURS, LAST, "good", "slow"])
    assert ratio == pytest.approx(1.0)
    assert peer == "good"


def test_the_slowest_peers_run_on_a_sample():
    """Re-fitted LSTMs and ARIMA stay away from streams outside the sample; others do not."""
    assert is_wanted("AutoARIMA re-fit", FIRST)
    assert not is_wanted("AutoARIMA re-fit", SECOND)
    assert is_wanted("MLP re-fit/96", SECOND)
    assert is_wanted(LAST, SECOND)
    assert {"MLP re-fit/96", "AutoARIMA re-fit"} <= set(HEAVY)


def test_a_set_can_be_measured_alone(monkeypatch, tmp_path):
    """Only the streams of the requested sets are measured; an unknown set is refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = np.cumsum(np.random.default_rng(0).normal(size=(80, 1)), axis=0)
    streams = [
        BenchmarkStream(
            group=name,
            name=name,
            values=made,
            elapsed_s=np.full(80, 300.0),
            start=40,
            period=24,
            scale=np.ones(1),
        )
        for name in ("one", "two")
    ]
    monkeypatch.setattr(forecast, "load_streams", lambda *_, **__: (streams, []))
    monkeypatch.setattr(forecast, "methods", lambda **_: [OURS, LAST])
    report = forecast.run(None, quick=True, sets=["two"])
    assert report.summary.keys() >= {"mae_ratio_vs_best_peer_two", "coverage_90"}
    assert {row.metric.split("_")[0] for row in report.rows} == {"two"}
    with pytest.raises(ValueError, match="three"):
        forecast.run(None, sets=["three"])
