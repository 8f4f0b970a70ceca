from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import ModelMismatchError
from edge.core.facts import FactBatch, untimed_batch
from edge.core.router import (
    FACTS_MAX,
    RIDGE,
    _choose_landmarks,
    _fit_ridge,
    _gather,
    _shares,
    allot_facts,
    fit_router,
)

WIDTH = 12
SPANS = ((0, 4), (4, WIDTH))


def batch(domain: str, count: int, *, level: int = 100, seed: int = 0) -> FactBatch:
    """Facts of a domain around a level in the columns that the router reads."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, 256, (count, WIDTH))
    rows[:, 4:] = random.normal(level, 8, (count, WIDTH - 4)).clip(0, 255)
    ids = tuple(f"{domain}-{seed}-{row:04}" for row in range(count))
    return untimed_batch(ids, (domain,) * count, ("a",) * count, rows.astype(np.uint8))


def take(rows: FactBatch, order: list[int]) -> FactBatch:
    """The facts of a batch in another order."""
    return untimed_batch(
        tuple(rows.ids[at] for at in order),
        tuple(rows.domains[at] for at in order),
        tuple(rows.labels[at] for at in order),
        rows.features[order],
    )


def routed(router, rows: FactBatch) -> list[str]:
    """The likeliest domain of each fact."""
    return [router.domains[at] for at in router.scores(rows.features).argmax(axis=1)]


def test_samples_go_to_their_domain():
    """Fresh samples of well separated domains are routed where they belong."""
    router = fit_router([batch("b", 60, level=150), batch("a", 40, level=90)], SPANS)
    assert router.domains == ("a", "b")
    assert routed(router, batch("a", 30, level=90, seed=5)) == ["a"] * 30
    assert routed(router, batch("b", 30, level=150, seed=5)) == ["b"] * 30


def test_a_border_that_is_no_plane_is_found():
    """A domain between two parts of another is recognised, which no linear rule can do."""
    outer = [batch("out", 80, level=60), batch("out", 80, level=180, seed=1)]
    router = fit_router([*outer, batch("in", 80, level=120)], SPANS)
    assert routed(router, batch("in", 40, level=120, seed=7)) == ["in"] * 40
    assert routed(router, batch("out", 40, level=60, seed=7)) == ["out"] * 40


def test_scores_are_log_probabilities():
    """The exponentials of the scores add up to one, for one sample as for many."""
    router = fit_router([batch("a", 20), batch("b", 20, level=130)], SPANS)
    rows = batch("a", 5, seed=3).features
    scores = router.scores(rows)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(router.scores(rows[2]), scores[2], rtol=1e-3, atol=1e-4)


def test_overlapping_domains_are_not_sure():
    """Indistinguishable domains get about half of the probability each."""
    router = fit_router([batch("a", 300), batch("b", 300, seed=1)], SPANS)
    result = np.exp(router.scores(batch("a", 200, seed=2).features))
    assert abs(float(result[:, 0].mean()) - 0.5) < 0.1
    assert float(result.max()) < 0.9


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 12), st.integers(1, 12))
def test_order_is_nothing(random, first, second):
    """Facts in any order and batches give the same router, to the bit."""
    parts = [batch("a", first), batch("b", second, level=140)]
    orders = [random.sample(range(len(part)), len(part)) for part in parts]
    mixed = [take(part, order) for part, order in zip(parts, orders, strict=True)]
    cut = [take(mixed[0], [row]) for row in range(first)]
    one, other = fit_router(parts, SPANS), fit_router([mixed[1], *cut], SPANS)
    rows = batch("a", 4, seed=9).features
    np.testing.assert_array_equal(one.scores(rows), other.scores(rows))
    assert one.inverse_temperature == other.inverse_temperature


def test_one_domain_is_certain():
    """With one domain nothing is computed."""
    router = fit_router([batch("only", 3)], SPANS)
    np.testing.assert_array_equal(router.scores(batch("x", 4).features), np.zeros((4, 1)))
    assert len(router.landmarks) == 0


@pytest.mark.parametrize("few", [1, 2, 5])
def test_a_tiny_domain_is_heard(few):
    """A domain of a few facts is routed to despite a large one."""
    router = fit_router([batch("large", 400, level=80), batch("tiny", few, level=170)], SPANS)
    result = routed(router, batch("tiny", 20, level=170, seed=4))
    assert result.count("tiny") >= 18
    assert routed(router, batch("large", 20, level=80, seed=4)) == ["large"] * 20


def test_identical_facts_do_no_harm():
    """Domains of one repeated sample give finite probabilities."""
    same = np.full((5, WIDTH), 7, np.uint8)
    parts = [
        untimed_batch(tuple(f"{name}{row}" for row in range(5)), (name,) * 5, ("a",) * 5, same)
        for name in "ab"
    ]
    result = np.exp(fit_router(parts, SPANS).scores(same))
    np.testing.assert_allclose(result, 0.5, atol=0.01)


def test_one_tap_is_read_whole():
    """Features without taps are routed by all their columns."""
    rows = [batch("a", 30, level=60), batch("b", 30, level=160)]
    router = fit_router(rows, ((0, WIDTH),))
    assert router.span == (0, WIDTH)
    assert routed(router, batch("b", 20, level=160, seed=2)) == ["b"] * 20


def test_many_domains_are_routed():
    """A thousand domains of eight facts fit in bounds, and go to the right place."""
    random = np.random.default_rng(0)
    centres = random.integers(20, 236, (1_000, WIDTH))
    rows = np.repeat(centres, 8, axis=0) + random.integers(-2, 3, (8_000, WIDTH))
    ids = tuple(f"{at:05}" for at in range(8_000))
    names = tuple(f"d{at // 8:04}" for at in range(8_000))
    given_rows = untimed_batch(ids, names, ("a",) * 8_000, rows.astype(np.uint8))
    router = fit_router([given_rows], ((0, WIDTH),))
    assert router.nbytes < 8 << 20
    assert len(router.domains) == 1_000


@pytest.mark.parametrize(
    "features",
    [
        np.zeros((2, WIDTH - 1), np.uint8),
        np.zeros((2, WIDTH), np.float32),
        np.zeros((), np.uint8),
    ],
)
def test_wrong_features_are_refused(features):
    """Features of another width or type raise an error that states the expected ones."""
    router = fit_router([batch("a", 3), batch("b", 3)], SPANS)
    with pytest.raises(ModelMismatchError, match=rf"expects uint8 features \[\.\.\., {WIDTH}\]"):
        router.scores(features)


def test_no_facts_are_a_bug():
    """Fitting a router without facts is an assertion error."""
    with pytest.raises(AssertionError):
        fit_router([], SPANS)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 20_000), min_size=1, max_size=40))
def test_shares_fill_the_room(counts):
    """Every domain gets between one and all of its facts, and no usable share is left over."""
    made = allot_facts(counts)
    assert all(1 <= made[name] <= count for name, count in counts.items())
    assert sum(made.values()) == min(FACTS_MAX, sum(counts.values()))


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 20_000), min_size=2, max_size=40))
def test_shares_are_fair(counts):
    """All domains that are cut get the same share, up to rounding."""
    made = allot_facts(counts)
    largest = max(made.values())
    assert all(made[n] == count or made[n] >= largest - len(counts) for n, count in counts.items())


def test_more_domains_than_facts_take_part_with_one_each():
    """None is left out, even where there is no room for all."""
    made = allot_facts({f"d{number}": 3 for number in range(FACTS_MAX + 5)})
    assert set(made.values()) == {1}


def test_domains_weigh_as_the_root_of_their_facts():
    """Nine times the facts weigh three times as much together; the mean weight is one."""
    rows = _gather([batch("a", 4), batch("b", 36, level=140)], SPANS[1])
    few, many = rows.weights[rows.owners == 0], rows.weights[rows.owners == 1]
    assert many.sum() / few.sum() == pytest.approx(3, rel=1e-5)
    assert rows.weights.mean() == pytest.approx(1, rel=1e-5)


def test_leave_one_out_residuals_equal_those_of_a_ridge_without_the_fact():
    """Closed-form residuals equal those of a ridge solved without the fact, at the same penalty."""
    rows = _gather([batch("a", 9, level=95), batch("b", 14, level=110)], SPANS[1])
    ridge = _fit_ridge(rows)
    inputs = ((rows.features - ridge.centre) * ridge.factor).astype(np.float64)
    weights, targets = rows.weights.astype(np.float64), np.eye(2)[rows.owners]
    gram = (inputs * weights[:, None]).T @ inputs
    penalty = RIDGE * np.trace(gram) / len(inputs) + 1e-3
    for out in range(len(inputs)):
        kept = np.arange(len(inputs)) != out
        share = weights[kept] / weights[kept].sum()
        middle, usual = share @ inputs[kept], share @ targets[kept]
        moved = inputs[kept] - middle
        held = (moved * weights[kept, None]).T
        solved = np.linalg.solve(held @ moved + penalty * np.eye(8), held @ (targets[kept] - usual))
        left = targets[out] - usual - (inputs[out] - middle) @ solved
        assert ridge.residuals[out] == pytest.approx(left, abs=2e-3)


def test_landmarks_are_the_hardest_and_those_of_the_lowest_hashes(monkeypatch):
    """Half of the landmarks are the hardest facts, half those with the lowest hashes, without
    duplicates."""
    monkeypatch.setattr("edge.core.router.LANDMARKS_MAX", 8)
    rows = _gather([batch("a", 15), batch("b", 15, level=140)], SPANS[1])
    margins = np.random.default_rng(0).random(30).astype(np.float32)
    chosen = _choose_landmarks(rows, margins).tolist()
    hardest = np.argsort(margins)[:4].tolist()
    rest = sorted(set(range(30)) - set(hardest), key=lambda row: rows.ranks[row])[:4]
    assert chosen == [*hardest, *rest]
    assert _shares(30, 8).tolist() == [1.0] * 4 + [26 / 4] * 4
