"""`edge.river` passes River's checks, follows features that come and go, and keeps its time."""

from __future__ import annotations

import doctest
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

river = pytest.importorskip("river", reason="needs the extra river")

from river import checks, datasets, metrics  # noqa: E402 - after the check for River

from edge.core.knowledge import Moments  # noqa: E402
from edge.river import AnomalyDetector, Classifier, DriftDetector, Forecaster  # noqa: E402
from edge.river.columns import COLUMNS_MAX  # noqa: E402

CLASSES = (Classifier, AnomalyDetector, DriftDetector, Forecaster)


@pytest.fixture(autouse=True, scope="module")
def _anomalies_without_a_network() -> Iterator[None]:
    """River's checks take fraud from a server; the anomalies of Shuttle come with River."""
    kept = datasets.CreditCard
    if not kept().is_downloaded:
        setattr(datasets, "CreditCard", datasets.Shuttle)  # noqa: B010 - a class in River's types
    yield
    setattr(datasets, "CreditCard", kept)  # noqa: B010 - as above


def named_checks() -> list[Any]:
    """Every class with every check that River has for it; none is skipped."""
    found = []
    for kind in CLASSES:
        for at, check in enumerate(checks.yield_checks(kind())):
            found.append(pytest.param(kind, at, id=f"{kind.__name__}-{at}-{check.__name__}"))
    return found


@pytest.mark.parametrize(("kind", "at"), named_checks())
def test_every_check_of_river_passes(kind: Any, at: int) -> None:
    """Each check that River yields for a class passes."""
    check = list(checks.yield_checks(kind()))[at]
    check(kind())


@pytest.mark.parametrize("kind", CLASSES)
def test_check_estimator_takes_the_class(kind: Any) -> None:
    """`check_estimator` as a whole passes, and no class asks it to skip a check."""
    assert kind()._unit_test_skips() == set()  # noqa: SLF001 - River's name
    if kind in (DriftDetector, Forecaster):  # the slow ones have just passed one by one
        checks.check_estimator(kind())


def prequential(model: Any, samples: Any) -> float:
    """Return the accuracy of answers that are given before each sample is learned."""
    right = metrics.Accuracy()
    for x, y in samples:
        right.update(y, model.predict_one(x))
        model.learn_one(x, y)
    return float(right.get())


def test_it_learns_a_real_stream() -> None:
    """On Phishing it is right more often than River's tree and nearest neighbours are."""
    from river import neighbors, preprocessing, tree

    ours = prequential(Classifier(), datasets.Phishing())
    assert ours > prequential(tree.HoeffdingAdaptiveTreeClassifier(seed=1), datasets.Phishing())
    knn = preprocessing.StandardScaler() | neighbors.KNNClassifier()
    assert ours > prequential(knn, datasets.Phishing())


def rows(count: int, width: int, seed: int = 0) -> list[tuple[dict[Any, Any], str]]:
    """Two classes that differ in every column."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        y = "ab"[int(random.integers(2))]
        values = random.normal(2.0 if y == "a" else -2.0, 1.0, width)
        made.append(({f"f{at}": float(v) for at, v in enumerate(values)}, y))
    return made


def test_a_sample_of_24_numbers_takes_a_millisecond_at_most() -> None:
    """The median processor time to answer and learn a sample of 24 numbers is at most 1 ms, in the
    quietest of ten blocks: other processes take a share of the caches."""
    model, spent = Classifier(), []
    for x, y in rows(1_500, 24):
        begun = time.process_time()
        model.predict_one(x)
        model.learn_one(x, y)
        spent.append(time.process_time() - begun)
    blocks = np.array(spent[500:]).reshape(10, 100)
    assert float(np.median(blocks, axis=1).min()) <= 1e-3


def test_features_come_and_go() -> None:
    """It answers from features that appear late, and from the few that are left."""
    model = Classifier()
    for at, (x, y) in enumerate(rows(400, 6)):
        model.learn_one(x if at > 200 else {"f0": x["f0"]}, y)
    later = rows(100, 6, seed=1)
    assert all(model.predict_one(x) == y for x, y in later)
    assert sum(model.predict_one({"f5": x["f5"]}) == y for x, y in later) > 85
    assert set(model.predict_proba_one({})) == {"a", "b"}


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf, 1e300])
def test_an_unusable_number_counts_as_missing(missing: Any) -> None:
    """None, NaN, infinity and enormous numbers change nothing: the answer is as without them."""
    one, other = Classifier(), Classifier()
    for x, y in rows(50, 3):
        one.learn_one({**x, "bad": missing}, y)
        other.learn_one({**x, "bad": None}, y)
    x = {"f0": 1.0, "f1": 0.5, "bad": missing}
    assert one.predict_proba_one(x) == other.predict_proba_one({"f0": 1.0, "f1": 0.5})


@pytest.mark.parametrize("value", ["red", b"7", [1.0], {}])
@pytest.mark.parametrize("kind", [Classifier, AnomalyDetector])
def test_text_is_refused_and_changes_nothing(kind: Any, value: Any) -> None:
    """A value that is no number is an error that names the feature and the cure."""
    model = kind()
    for x, y in rows(20, 2):
        model.learn_one(*((x, y) if kind is Classifier else (x,)))
    before = len(model.memory), model.memory.columns.width
    x = {"f0": 1.0, "colour": value}
    with pytest.raises(ValueError, match=r"'colour': expected a number.*OneHotEncoder"):
        model.learn_one(*((x, "a") if kind is Classifier else (x,)))
    assert before == (20, 2) == (len(model.memory), model.memory.columns.width)


def test_any_number_of_features_takes_bounded_memory() -> None:
    """Of thousands of features the newest keep a column, and the model stays as large."""
    model = AnomalyDetector(facts=50)
    for at in range(COLUMNS_MAX):
        model.learn_one({f"word-{at}": 1.0, "always": float(at % 3)})
    size = model._raw_memory_usage  # noqa: SLF001 - River's name
    for at in range(COLUMNS_MAX, 3 * COLUMNS_MAX):
        model.learn_one({f"word-{at}": 1.0, "always": float(at % 3)})
    assert model._raw_memory_usage < 1.5 * size  # noqa: SLF001
    assert model.memory.columns.width == COLUMNS_MAX
    assert "always" in model.memory.columns.places


def test_any_number_of_classes_takes_bounded_memory() -> None:
    """A class without a fact left is dropped, and its number is used again."""
    model = Classifier(facts=30)
    for at in range(200):
        model.learn_one({"x": float(at % 7), "y": float(at % 5)}, f"class-{at}")
    assert len(model.predict_proba_one({"x": 1.0})) == 30
    assert len(model.memory.counts) == 30


def test_sums_are_those_of_the_facts_that_are_left() -> None:
    """After thousands of facts came and left, the integer sums equal those computed afresh."""
    model = Classifier(facts=100)
    for x, y in rows(1_000, 5):
        model.learn_one(x, y)
    memory = model.memory
    for sums, chosen in (
        (memory.sums, np.ones(len(memory), np.bool_)),
        (memory.recent_sums, memory.newest),
    ):
        fresh = Moments(5)
        for label in memory.counts:
            levels = memory.all_levels[chosen & (memory.labels == label)]
            fresh.change(("", str(label)), levels, 1)
        assert sums.counts == fresh.counts
        assert (sums.gram == fresh.gram).all()
        assert all((sums.sums[one] == fresh.sums[one]).all() for one in fresh.sums)


def test_it_follows_a_change() -> None:
    """After the classes have swapped, it is right again within a hundred samples."""
    model = Classifier()
    for x, y in rows(1_000, 4):
        model.learn_one(x, y)
    swapped = [(x, "b" if y == "a" else "a") for x, y in rows(300, 4, seed=2)]
    for x, y in swapped[:200]:
        model.learn_one(x, y)
    assert prequential(model, swapped[200:]) > 0.9


def test_anomalies_stand_out() -> None:
    """On Shuttle the detector ranks anomalies above normal samples nearly always."""
    area = metrics.RollingROCAUC(window_size=6_000)
    model = AnomalyDetector()
    for x, y in datasets.Shuttle().take(6_000):
        score = model.score_one(x)
        assert 0.0 <= score < 1.0
        area.update(bool(y), score)
        model.learn_one(x)
    assert area.get() > 0.95


def test_a_change_of_level_is_detected_once() -> None:
    """A step is reported within 60 samples with its start, and none before it."""
    random = np.random.default_rng(0)
    model, found = DriftDetector(), []
    for at, value in enumerate([*random.normal(0, 1, 500), *random.normal(3, 1, 300), math.nan]):
        model.update(value)
        if model.drift_detected:
            assert model.change is not None
            found.append((at, model.change.start))
    assert len(found) == 1
    assert 500 <= found[0][0] < 560
    assert abs(found[0][1] - 500) < 10


def test_a_season_is_forecast() -> None:
    """On Airline Passengers it beats the last value for each of 8 months, and its bounds hold."""
    model = Forecaster(period=12)
    values = [y for _, y in datasets.AirlinePassengers()]
    ours, last, inside = [], [], []
    for at, value in enumerate(values[:-8]):
        model.learn_one(value)
        if at >= 36:
            for ahead, (point, low, high) in enumerate(model.intervals(8), start=1):
                later = values[at + ahead]
                ours.append(abs(point - later))
                last.append(abs(value - later))
                inside.append(low <= later <= high)
    assert np.mean(ours) < 0.6 * np.mean(last)
    assert np.mean(inside) > 0.75


def test_a_horizon_beyond_is_refused() -> None:
    """A longer horizon than it was made for is an error that says how to make it."""
    with pytest.raises(ValueError, match=r"Forecaster\(horizon=9\)"):
        Forecaster().forecast(9)
    made = Forecaster(horizon=20)
    made.learn_one(1.0)
    assert len(made.forecast(20)) == 20


@pytest.mark.parametrize("kind", [Classifier, AnomalyDetector])
def test_a_memory_without_facts_is_refused(kind: Any) -> None:
    """A memory of no facts is an error at once."""
    with pytest.raises(ValueError, match="1 or more, found 0"):
        kind(facts=0)


def test_it_works_in_a_pipeline() -> None:
    """It follows River's scalers and encoders in a pipeline, text features included."""
    from river import compose, preprocessing

    model = (compose.SelectType(str) | preprocessing.OneHotEncoder()) + compose.SelectType(
        float
    ) | Classifier()
    samples = [({"colour": "red" if y == "a" else "blue", **x}, y) for x, y in rows(200, 2)]
    assert prequential(model, samples) > 0.9


def test_the_documented_example_runs(source: Path) -> None:
    """The example in docs/howto/river.md gives the documented results."""
    failed, tried = doctest.testfile(
        str(source / "docs" / "howto" / "river.md"), module_relative=False
    )
    assert tried > 10
    assert failed == 0
