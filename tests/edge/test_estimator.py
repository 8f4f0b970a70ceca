from __future__ import annotations

import copy
import doctest
import time
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import encoder
from edge.core.events import Decision, Observation, Publish
from edge.estimator import ContinualClassifier
from tests.growers import accept, refuse

X, Y = load_iris(return_X_y=True)
QUANTISER = encoder.freeze_quantiser(X, (slice(0, 4),), "channel")

# scikit-learn's checks that need not hold here, each with its reason.  None is needed.
EXCEPTIONS: Final[dict[str, str]] = {}


@parametrize_with_checks([ContinualClassifier()], expected_failed_checks=lambda _: EXCEPTIONS)
def test_scikit_learn_checks(estimator, check):
    """scikit-learn's own checks of an estimator hold."""
    check(estimator)


def fitted(rows=slice(None), **settings) -> ContinualClassifier:
    """An estimator that learned some rows of iris."""
    return ContinualClassifier(quantiser=QUANTISER, **settings).fit(X[rows], Y[rows])


def test_forgetting_ids_equals_never_having_seen_them():
    """After fitting and forgetting, it equals one that never saw the samples."""
    names = [f"flower {row}" for row in range(len(X))]
    model = ContinualClassifier(quantiser=QUANTISER).fit(X, Y, ids=names)
    receipt = model.forget(ids=names[::3])
    rest = np.arange(len(X)) % 3 != 0
    never = ContinualClassifier(quantiser=QUANTISER)
    never.fit(X[rest], Y[rest], ids=[name for name, kept in zip(names, rest, strict=True) if kept])
    assert receipt.facts_forgotten == 50
    assert model.digest() == never.digest() == receipt.digest_after
    np.testing.assert_array_equal(model.predict_proba(X), never.predict_proba(X))
    np.testing.assert_array_equal(model.score_samples(X), never.score_samples(X))


def test_forgetting_a_class_forgets_its_name():
    """A forgotten class is answered no more and is no longer among the classes."""
    model = fitted()
    model.forget(label=1)
    assert model.classes_.tolist() == [0, 2]
    assert set(model.predict(X)) == {0, 2}
    assert model.predict_proba(X).shape == (150, 2)
    assert model.digest() == fitted(Y != 1).digest()


def test_the_forgotten_is_not_relearned():
    """Samples with forgotten ids stay out; others come in."""
    model = fitted()
    model.forget(ids=[0, 1])
    before = model.digest()
    model.partial_fit(X[:2], Y[:2], ids=[0, 1])
    assert model.digest() == before
    model.partial_fit(X[:2], Y[:2], ids=["again 0", "again 1"])
    assert model.digest() != before


def test_parts_add_up_to_the_whole():
    """Learned in parts or in another order, the knowledge is bit-identical."""
    frozen = fitted(slice(0, 150, 2))
    names = np.arange(150)
    shuffled = np.random.default_rng(0).permutation(names[1::2])
    other = fitted(slice(0, 150, 2))
    frozen.partial_fit(X[1::2], Y[1::2], ids=names[1::2] + 1000)
    for part in np.array_split(shuffled, 4):
        other.partial_fit(X[part], Y[part], ids=part + 1000)
    assert frozen.digest() == other.digest()


def test_classes_may_come_later():
    """An unexpected class is learned when it arrives; an expected one has a column before."""
    model = ContinualClassifier(quantiser=QUANTISER)
    model.partial_fit(X[:60], Y[:60], classes=[0, 1, 7])
    assert model.classes_.tolist() == [0, 1, 7]
    assert (model.predict_proba(X)[:, 2] == 0).all()
    model.partial_fit(X[60:], Y[60:])
    assert model.classes_.tolist() == [0, 1, 2, 7]
    assert model.score(X, Y) > 0.8


@pytest.mark.parametrize(
    "labels",
    [
        Y,
        Y == 0,
        np.array(["setosa", "versicolor", "virginica"])[Y],
        Y.astype(float),
        Y - 5,
        np.array(["a", "b", "c"], dtype=object)[Y],
    ],
    ids=["int", "bool", "text", "float", "negative", "object"],
)
def test_labels_keep_their_kind(labels):
    """Predictions are labels as they were given."""
    model = ContinualClassifier().fit(X, labels)
    found = model.predict(X)
    assert found.dtype == labels.dtype
    assert np.mean(found == labels) > 0.8
    assert model.forget(label=labels[0]).facts_forgotten == (labels == labels[0]).sum()


def test_labels_of_two_kinds_do_not_mix():
    """Text after numeric classes raises an error, and nothing is learned."""
    model = fitted()
    before = model.digest()
    with pytest.raises(ValueError, match="as text"):
        model.partial_fit(X[:1], ["setosa"])
    assert model.digest() == before


@pytest.mark.parametrize("width", [1, 2, 3, 64, 65, 500, 2000])
def test_any_number_of_features(width):
    """From one feature to two thousand, it learns a label that one column decides."""
    random = np.random.default_rng(width)
    labels = np.arange(80) % 2
    values = random.normal(size=(80, width)) + 6.0 * labels[:, None] * (np.arange(width) == 0)
    model = ContinualClassifier().fit(values, labels)
    assert model.score(values, labels) > 0.9
    assert np.isfinite(model.score_samples(values)).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_sets_and_one_class(count):
    """One sample of one class is enough to answer that class."""
    model = ContinualClassifier().fit(X[:count], ["only"] * count)
    assert (model.predict(X) == "only").all()
    assert (model.predict_proba(X) == 1).all()
    assert model.score_samples(X[:1])[0] >= model.score_samples(X[100:]).max()


def test_memory_layout_does_not_matter():
    """Fortran order, strides and other dtypes give the same knowledge."""
    base = fitted().digest()
    strided = np.repeat(X, 2, axis=1)[:, ::2]
    for values in (np.asfortranarray(X), strided, X[::-1][::-1], X.astype(np.float32)):
        model = ContinualClassifier(quantiser=QUANTISER).fit(values, Y)
        assert model.digest() == base


def test_constant_and_huge_columns():
    """Columns that never move or lie far from zero do no harm."""
    values = np.c_[X, np.zeros(150), np.full(150, 1e6), X[:, 0] * 1e-9, X[:, 1] * 1e12]
    assert ContinualClassifier().fit(values, Y).score(values, Y) > 0.8


def test_probabilities_are_probabilities_and_agree_with_predictions():
    """Rows add up to one, none is negative, and the largest is the prediction."""
    model = fitted()
    found = model.predict_proba(X)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    np.testing.assert_array_equal(model.classes_[found.argmax(axis=1)], model.predict(X))


def digits_of_three_scanners() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scans of four digits by three scanners: plain, turned, and faint."""
    values, labels = load_digits(n_class=4, return_X_y=True)
    scanner = np.arange(len(values)) % 3
    turned = values.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)
    return np.choose(scanner[:, None], [values, turned, values * 0.6]), labels, scanner


def runtime_decisions(model: ContinualClassifier, rows: np.ndarray) -> list[Decision]:
    """The decisions of the runtime inside, each row on a stream of its own."""
    runtime = model._runtime  # noqa: SLF001  the promise is about what serves inside
    found = []
    for row, values in enumerate(rows):
        effects = runtime.handle(
            Observation(stream=f"s{row}", sequence=0, captured_at_ns=row, payload=values)
        )
        messages = (effect.message for effect in effects if isinstance(effect, Publish))
        found.append(next(one for one in messages if isinstance(one, Decision)))
    return found


def test_answers_are_those_of_the_runtime():
    """The same facts give the runtime's answers, verdicts and novelty: with several domains, for
    known samples and for novel ones."""
    values, labels, scanner = digits_of_three_scanners()
    train = np.arange(len(values)) % 2 == 0
    model = ContinualClassifier()
    for number in range(3):
        at = train & (scanner == number)
        model.partial_fit(values[at], labels[at], ids=np.flatnonzero(at), domain=f"d{number}")
    unseen = load_digits(return_X_y=True)[0][-60:]
    rows = np.concatenate([values[~train][:180], unseen])
    decisions = runtime_decisions(model, rows)
    verdicts = {decision.known for decision in decisions}
    assert verdicts >= {True, False}
    answers = [str(answer) for answer in model.predict(rows)]
    assert answers == [decision.guess for decision in decisions]
    best = model.classes_[model.predict_proba(rows).argmax(axis=1)]
    assert [str(answer) for answer in best] == answers
    assert model.is_known(rows).tolist() == [decision.known is True for decision in decisions]
    assert model.is_new(rows).tolist() == [decision.known is False for decision in decisions]
    assert model.score_samples(rows).tolist() == [-decision.score for decision in decisions]


def test_samples_beyond_the_range_freeze_a_quantiser_that_covers_them():
    """A domain far beyond the first one's range is learned as if the quantiser had covered both
    from the start: the same digest, with no sample clipped; forgotten samples stay forgotten."""
    away = (X + 40).astype(np.float32)
    model = ContinualClassifier().fit(X, Y)
    model.forget(ids=[0])
    narrow = model.quantiser_
    model.partial_fit(away, Y, ids=range(200, 350), domain="away")
    assert model.quantiser_ != narrow
    assert model.quantiser_.clipped(away).max() == 0
    known = ContinualClassifier(quantiser=model.quantiser_).fit(X[1:], Y[1:], ids=range(1, 150))
    known.partial_fit(away, Y, ids=range(200, 350), domain="away")
    known.forget(label=2)
    model.forget(label=2)
    assert model.digest() == known.digest()
    model.partial_fit(X[:1], Y[:1], ids=[0])
    assert model.digest() == known.digest()


def test_a_given_quantiser_is_kept():
    """With a quantiser of the caller's, samples beyond its range are clipped as before."""
    model = fitted()
    model.partial_fit(X + 40, Y, ids=range(200, 350), domain="away")
    assert model.quantiser_ == QUANTISER


def test_new_samples_score_lower():
    """Samples far from all classes score lower than known ones."""
    known = Y != 0
    model = fitted(known)
    assert model.score_samples(X[known]).mean() > model.score_samples(X[~known]).mean()


def test_known_from_new_at_the_ordered_rate():
    """About the chosen share of known samples is reported novel, and most novel ones are."""
    model = fitted(false_alarm_rate=0.1)
    assert model.is_new(X).mean() < 0.15
    assert model.is_known(X[:, ::-1]).mean() < 0.5


def test_a_sample_in_doubt_is_neither_known_nor_new():
    """With few samples of a class most of an unknown class are not called known; the runtime says
    the same of each, and most known samples stay known."""
    values, labels = load_digits(return_X_y=True)
    few = [row for label in range(9) for row in np.flatnonzero(labels == label)[:150:5]]
    model = ContinualClassifier().fit(values[few], labels[few])
    rest = np.setdiff1d(np.arange(len(values)), few)
    unknown, known = values[labels == 9], values[rest][labels[rest] != 9][:600]
    decisions = runtime_decisions(model, unknown)
    assert model.is_known(unknown).tolist() == [one.known is True for one in decisions]
    assert model.is_new(unknown).tolist() == [one.known is False for one in decisions]
    assert any(one.known is None for one in decisions)
    assert model.is_known(unknown).mean() < 0.5
    assert model.is_new(known).mean() < 0.05
    assert model.is_known(known).mean() > 0.7


def test_an_unattainable_rate_is_an_error():
    """Too few samples for the chosen rate raise an error."""
    with pytest.raises(ValueError, match=r"0\.001"):
        fitted(slice(0, 10), false_alarm_rate=0.001).is_known(X)


def test_a_full_class_keeps_the_newest():
    """The oldest samples of a full class leave, and a receipt says so."""
    model = fitted(facts_per_concept=20)
    assert model.forget(label=0).facts_forgotten == 20
    assert model.forget(label=1).evicted_before == 90


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"ids": ["unknown"]}, "nothing matches"),
        ({"label": 9}, "nothing matches"),
        ({}, "nothing matches"),
    ],
)
def test_forgetting_nothing_is_an_error(arguments, match):
    """A request that matches nothing, or names nothing, changes nothing."""
    model = fitted()
    before = model.digest()
    with pytest.raises(ValueError, match=match):
        model.forget(**arguments)
    assert model.digest() == before


def test_forgetting_everything_leaves_it_unfitted():
    """With nothing left there is nothing to predict; it can learn again."""
    model = fitted(Y == 0)
    model.forget(label=0)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.partial_fit(X, Y, ids=range(1000, 1150))
    assert model.score(X, Y) > 0.8


@pytest.mark.parametrize("ids", [["same"] * 150, ["too", "few"], range(151)])
def test_ids_must_name_each_row_once(ids):
    """Ids that do not fit the rows are an error."""
    with pytest.raises(ValueError, match="ids must be 150"):
        ContinualClassifier().fit(X, Y, ids=ids)


def test_an_adaptor_answers_where_one_was_grown_and_is_made_again_without_a_sample():
    """A grown adaptor serves; if a sample it was grown from is forgotten, the same blueprint is
    made again from the others."""
    model, plain = fitted(), fitted()
    result = model.grow(accept)
    assert result.record is not None
    assert not np.allclose(model.predict_proba(X), plain.predict_proba(X))
    assert model.digest() == plain.digest()
    assert model.score(X, Y) > 0.9
    model.forget(ids=[3])
    plain.forget(ids=[3])
    assert model.digest() == plain.digest()
    assert not np.allclose(model.predict_proba(X), plain.predict_proba(X))
    twin = fitted()
    twin.forget(ids=[3])
    assert twin.grow(accept).record is not None
    np.testing.assert_array_equal(model.predict_proba(X), twin.predict_proba(X))


def test_nothing_changes_where_nothing_does_better():
    """A refused growth leaves answers alone; a domain that is not there is an error."""
    model = fitted()
    before = model.predict_proba(X)
    assert model.grow(refuse).record is None
    np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match="no such domain"):
        model.grow(accept, domain="elsewhere")


def test_a_quantiser_of_another_width_is_refused():
    """The quantiser must have a column for each feature."""
    with pytest.raises(ValueError, match="4 columns"):
        ContinualClassifier(quantiser=QUANTISER).fit(X[:, :3], Y)


def test_unprintable_labels_are_refused():
    """A label that is invalid elsewhere is invalid here."""
    with pytest.raises(ValueError, match="printable"):
        ContinualClassifier().fit(X[:2], ["fine", "two\nlines"])


def test_a_copy_lives_alone():
    """A copy that forgets does not affect the original."""
    model = fitted()
    copied = copy.deepcopy(model)
    assert copied.digest() == model.digest()
    copied.forget(label=0)
    assert copied.digest() != model.digest() == fitted().digest()


def test_a_batch_is_answered_as_one():
    """Ten thousand rows are one matrix product, not ten thousand calls."""
    model = fitted()
    model.predict(X)
    rows = np.repeat(X, 67, axis=0)[:10_000]
    started = time.process_time()
    assert model.predict(rows).shape == (10_000,)
    assert time.process_time() - started < 5


def test_the_documented_example_runs(source: Path):
    """The example in docs/howto/estimator.md gives the documented results."""
    result = doctest.testfile(
        str(source / "docs" / "howto" / "estimator.md"), module_relative=False
    )
    assert result.attempted > 5
    assert result.failed == 0
