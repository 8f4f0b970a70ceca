"""The benchmark of policies of adaptation."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn.datasets")

from benchmarks.adapt.pictures import PICTURES, EncodedPictures
from benchmarks.adapt.run import make_report, measure_plan, run
from benchmarks.adapt.sets import (
    DEVELOPMENT,
    DIGIT_HOMES,
    PICTURE_HOMES,
    picture_world,
)
from edge.core.adaptation import OPENING_BYTES_MAX
from edge.sim.adaptation import digits_world, plan_streams, run_policies
from edge.sim.adaptation.trial import StreamPlan


def small_pictures() -> EncodedPictures:
    """Features of four domains with seven classes, drawn at random."""
    random = np.random.default_rng(0)
    domain = np.repeat(np.arange(4), 140)
    label = np.tile(np.repeat(np.arange(7), 20), 4)
    kinds = ("noise", "blur", "brightness", "contrast", "jpeg")
    return EncodedPictures(
        features=random.integers(0, 256, (560, 10), dtype=np.uint8),
        label=label,
        domain=domain,
        domains=("photo", "art_painting", "cartoon", "sketch"),
        corrupted={
            (place, kind, level): random.integers(0, 256, (140, 10), dtype=np.uint8)
            for place in (0, 1)
            for kind in kinds
            for level in (3, 5)
        },
        spans=((0, 4), (4, 10)),
    )


def test_the_comparison_has_the_streams_of_the_evidence() -> None:
    """74 streams are for the test with those of digits, and 21 others for choices."""
    world = picture_world(small_pictures())
    streams = [
        *plan_streams(world, 0, PICTURE_HOMES),
        *plan_streams(digits_world(0), 0, DIGIT_HOMES),
    ]
    assert sum(not stream.development for stream in streams) == 74
    assert sum(stream.development for stream in streams) == 21
    assert world.development == DEVELOPMENT


def test_without_data_every_missing_set_is_named() -> None:
    """Without files, sets that need them say which."""
    report = run(None, quick=True, sets=("pacs", "circuit"))
    assert report.rows == ()
    assert report.summary == {}
    pacs, circuit = report.notes[1:3]
    assert pacs.startswith("pacs: skipped")
    assert PICTURES in pacs
    assert circuit.startswith("circuit: skipped")


def test_a_quick_run_reports_policies_and_the_best_published_one() -> None:
    """On digits alone, the report has a row for each policy, and the summary its best peer."""
    report = run(None, quick=True, sets=("digits",))
    gains = {row.method: row.value for row in report.rows if row.metric == "gain points"}
    assert gains["source"] == 0
    assert gains["mean"] > 5
    assert report.summary["best_published_gain"] == max(
        gain for name, gain in gains.items() if name not in ("source", "mean", "auto")
    )
    assert report.notes[0].startswith("10 test streams;")
    costs = {row.method: row.value for row in report.rows if row.metric == "us a sample"}
    assert costs.keys() == gains.keys()
    assert 0 < report.summary["us_per_sample"] == costs["auto"]
    assert report.summary["us_per_solution"] > costs["auto"]
    assert report.summary["bytes_per_domain"] <= OPENING_BYTES_MAX


def test_rates_are_fractions_and_gains_points() -> None:
    """Rows of accuracy and the summary's photo_to_* lie between 0 and 1; gains are points."""
    world = picture_world(small_pictures())
    plan = StreamPlan(lambda _: world, {"iid": ("photo", "art_painting")})
    outcomes = run_policies([plan], ("auto", "mean"), (0, 1))
    report = make_report(outcomes)
    rows = {(row.method, row.metric): row.value for row in report.rows}
    own = [one for one in outcomes if one.policy == "mean" and not one.development]
    assert rows["mean", "iid"] == pytest.approx(np.mean([one.accuracy for one in own]) / 100)
    by_seed = [np.mean([one.accuracy for one in own if one.seed == seed]) for seed in (0, 1)]
    assert rows["mean", "iid, sd"] == pytest.approx(np.std(by_seed, ddof=1) / 100)
    before = [one for one in outcomes if one.policy == "source" and not one.development]
    gain = np.mean([one.accuracy for one in own]) - np.mean([one.accuracy for one in before])
    assert rows["mean", "gain points"] == pytest.approx(gain)
    assert 0 <= report.summary["photo_to_art"] <= 1


def test_a_set_that_does_not_exist_is_named() -> None:
    """A misspelt set ends the run before anything is measured, with the sets that exist."""
    with pytest.raises(SystemExit, match="unknown set 'digit', expected some of pacs, digits"):
        run(None, sets=("digit",))


def test_the_summary_has_the_figures_of_the_default_policy() -> None:
    """With pictures, all keys are there; what the streams do not cover is left out, not zero."""
    world = picture_world(small_pictures())
    homes = {
        "iid": ("photo",),
        "runs": ("art_painting",),
        "same iid": ("art_painting",),
        "turning": ("photo",),
        "mixed iid": ("photo",),
    }
    plan, names = StreamPlan(lambda _: world, homes), ("auto", "mean", "cafa")
    outcomes = run_policies([plan], names, (0,))
    found = make_report(outcomes, measure_plan(plan, names, 0)).summary
    assert set(found) == {
        "gain_mean_points",
        "gain_worst_stream_points",
        "streams_losing_half_point",
        "runs_gain",
        "same_gain",
        "corrupt_gain",
        "mixed_gain",
        "photo_to_art",
        "photo_to_cartoon",
        "photo_to_sketch",
        "best_published_gain",
        "best_published_worst",
        "us_per_sample",
        "us_per_solution",
        "bytes_per_domain",
    }
    sketch = [
        one.last
        for one in outcomes
        if (one.policy, one.stream) == ("auto", "photo > sketch") and one.protocol == "iid"
    ]
    assert found["photo_to_sketch"] == pytest.approx(sketch[0] / 100)
    fewer = make_report([one for one in outcomes if one.protocol == "iid"]).summary
    assert "runs_gain" not in fewer


def test_streams_of_development_stay_out_of_the_summary() -> None:
    """Their rows carry a mark of their own."""
    world = picture_world(small_pictures())
    plan = StreamPlan(lambda _: world, {"iid": ("photo",)})
    report = make_report(run_policies([plan], ("mean",), (0,)))
    assert report.notes[0].startswith("1 test streams;")
    assert {row.metric for row in report.rows} >= {"iid", "dev, iid"}


def test_streams_of_one_class_are_reported_apart() -> None:
    """They have rows for each home and place, and no part in the summary's mean gain."""
    world = picture_world(small_pictures())
    homes = {"iid": ("photo",), "one class": ("photo",)}
    outcomes = run_policies([StreamPlan(lambda _: world, homes)], ("auto", "mean"), (0, 1))
    report = make_report(outcomes)
    rows = {(row.method, row.metric): row.value for row in report.rows}
    own = [one for one in outcomes if one.stream.startswith("photo > sketch, class")]
    assert len({one.stream for one in own}) == 7
    last = [one.last for one in own if one.policy == "mean"]
    key = "one class: photo > sketch"
    assert rows["mean", f"{key}, last third"] == pytest.approx(np.mean(last) / 100)
    before = [one.last for one in own if one.policy == "source"]
    by_class = np.subtract(last, before).reshape(2, 7).mean(0)
    assert rows["mean", f"{key}, worst class, points"] == pytest.approx(by_class.min())
    alone = make_report([one for one in outcomes if one.protocol == "iid"])
    assert "one_class_worst" not in alone.summary
    assert alone.summary.items() < report.summary.items()
    assert report.summary["one_class_worst"] <= report.summary["one_class_gain"]
