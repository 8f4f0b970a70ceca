"""The essential update of each strategy does what its paper says: linear heads and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.sim.strategies.arithmetic import one_hot, softmax
from edge.sim.strategies.closed_form import NearestMean, RanPac, StreamingLda, StreamingRidge
from edge.sim.strategies.memory import ReplayMemory, kept_rows
from edge.sim.strategies.regularised import (
    ElasticWeights,
    LearningWithoutForgetting,
    SynapticIntelligence,
)
from edge.sim.strategies.strategy import LabelledPart, StreamShape
from edge.sim.strategies.trained import Batch, ExperienceReplay, NaiveFineTuning

COLUMNS, LABELS = 6, 4
SHAPE = StreamShape(spans=((0, COLUMNS),), labels=LABELS, domains=1)


def part(*labels: int, count: int = 30, seed: int = 0) -> LabelledPart:
    """Rows of some labels; each label is bright in a column of its own."""
    random = np.random.default_rng([seed, *labels])
    targets = random.choice(labels, count)
    features = random.integers(0, 80, (count, COLUMNS), np.uint8)
    features[np.arange(count), targets] += 100
    return LabelledPart(features, targets, np.zeros(count, np.int64))


def learned(kind: Any, *tasks: tuple[int, ...], **settings: Any) -> Any:
    """A strategy that has learned some tasks."""
    strategy = kind(SHAPE, 1, **settings)
    for task in tasks:
        strategy.learn(part(*task))
    return strategy


def task_of(strategy: Any, given: LabelledPart) -> Any:
    """A part as a batch of a strategy that was taught its labels."""
    return strategy.batch_of(given.features, given.targets, given.domains)


def loss_of(strategy: Any, batch: Batch) -> float:
    """The mean cross-entropy of a batch."""
    found = softmax(batch.rows @ strategy.weights, batch.allowed)
    return float(-np.log((found * batch.wanted).sum(axis=1)).mean())


def test_the_gradient_is_that_of_the_cross_entropy():
    """Each entry equals the slope of the loss, by finite differences."""
    strategy = learned(NaiveFineTuning, (0, 1, 2))
    batch = task_of(strategy, part(0, 1, 2, seed=5))
    gradient = strategy.gradient_of(batch)
    for place in ((0, 0), (3, 2), (COLUMNS, 1)):
        losses = []
        for step in (-0.01, 0.01):
            strategy.weights[place] += step
            losses.append(loss_of(strategy, batch))
            strategy.weights[place] -= step
        assert gradient[place] == pytest.approx((losses[1] - losses[0]) / 0.02, abs=2e-3)


def test_refresh_goes_up_the_loss_by_a_share_of_the_weights():
    """Unlearning raises the loss of its batch, by a step of the given share of the weights' norm,
    and the following step relearns it."""
    strategy = learned(NaiveFineTuning, (0, 1, 2), refresh=0.05)
    strategy.fisher[:] = 0
    batch = task_of(strategy, part(0, 1, 2))
    before, norm, start = (
        loss_of(strategy, batch),
        np.linalg.norm(strategy.weights),
        strategy.weights.copy(),
    )
    strategy.unlearn(batch)
    assert loss_of(strategy, batch) > before
    moved = np.linalg.norm(strategy.weights - start)
    assert moved == pytest.approx(0.05 * norm, rel=0.05)
    unlearned = loss_of(strategy, batch)
    strategy.weights -= 0.05 * strategy.gradient_of(batch)
    assert loss_of(strategy, batch) < unlearned


def test_refresh_moves_important_weights_less():
    """Where the Fisher information is large, unlearning hardly moves a weight."""
    strategy = learned(NaiveFineTuning, (0, 1, 2), refresh=0.5)
    strategy.fisher[:3], strategy.fisher[3:] = 1e6, 0
    start = strategy.weights.copy()
    strategy.unlearn(task_of(strategy, part(0, 1, 2)))
    moved = np.abs(strategy.weights - start)[:, :3]
    assert moved[:3].max() < 0.01 * moved[3:].max()


def test_ewc_measures_the_fisher_information():
    """The diagonal is the mean over rows and expected labels of the squared gradient."""
    strategy = learned(ElasticWeights, (0, 1, 2))
    batch = task_of(strategy, part(0, 1, 2, count=7))
    chances = softmax(batch.rows @ strategy.weights, batch.allowed)
    expected = np.zeros_like(strategy.weights)
    for row, chance in zip(batch.rows, chances, strict=True):
        for label in range(LABELS):
            errors = chance - np.eye(LABELS)[label]
            expected += chance[label] * np.outer(row, errors) ** 2 / 7
    assert np.allclose(strategy.information(batch), expected, atol=1e-4)


def test_ewc_pulls_important_weights_back():
    """A weight with much information returns nearly to its anchor, one without stays away."""
    strategy = learned(ElasticWeights, (0, 1), strength=10.0)
    anchor = strategy.weights.copy()
    strategy.stiffness[:3], strategy.stiffness[3:] = 1e4, 0
    strategy.moment = strategy.stiffness * anchor
    strategy.weights += 1
    strategy.stepped(anchor, anchor, np.float32(0.01))
    assert np.abs(strategy.weights - anchor)[:3].max() < 0.01
    assert np.allclose(strategy.weights[3:], anchor[3:] + 1)


def test_ewc_adds_the_penalties_of_all_tasks():
    """A strong pull by two penalties ends at the mean of both anchors, weighted by their
    information."""
    strategy = learned(ElasticWeights, strength=1e9)
    first, second = np.full_like(strategy.weights, 2.0), np.full_like(strategy.weights, 5.0)
    strategy.stiffness = np.full_like(first, 1.0) + np.full_like(first, 3.0)
    strategy.moment = 1.0 * first + 3.0 * second
    strategy.stepped(first, first, np.float32(1.0))
    assert np.allclose(strategy.weights, (2 + 3 * 5) / 4)


def test_ewc_forgets_less_than_naive_fine_tuning():
    """On two tasks with the same labels in other places, the first is answered better with EWC."""
    moved = part(0, 1, count=200, seed=3)
    moved.features[:] = np.roll(moved.features, 1, axis=1)
    right = {}
    for kind, strategy in (
        (NaiveFineTuning, NaiveFineTuning(SHAPE, 1, epochs=20)),
        (ElasticWeights, ElasticWeights(SHAPE, 1, epochs=20, strength=1e5)),
    ):
        strategy.learn(part(0, 1, count=200))
        strategy.learn(moved)
        shown = part(0, 1, count=200, seed=9)
        right[kind] = (strategy.answer(shown.features).argmax(1) == shown.targets).mean()
    assert right[ElasticWeights] > right[NaiveFineTuning] + 0.3


def test_si_counts_the_loss_that_a_weight_took_away():
    """Importance is the path's gain over the squared distance; where nothing moved it is zero, and
    never negative."""
    strategy = learned(SynapticIntelligence, (0, 1))
    unused = [2, 3]
    assert (strategy.stiffness >= 0).all()
    assert strategy.stiffness[:COLUMNS, :2].max() > 0
    assert np.abs(strategy.stiffness[:, unused]).max() == 0
    strategy.start = strategy.weights.copy()
    strategy.stiffness[:] = 0
    gradient, step = np.full_like(strategy.weights, -2.0), np.full_like(strategy.weights, 0.5)
    strategy.weights += step
    strategy.strength = 0.0
    strategy.stepped(gradient, step, np.float32(0.1))
    strategy.finish(task_of(strategy, part(0, 1)), part(0, 1))
    assert np.allclose(strategy.stiffness, 1.0 / (0.25 + 1e-3), rtol=1e-4)


def test_lwf_holds_the_old_answers():
    """With the old weights, distillation adds nothing; with others it points back to the old
    answers."""
    strategy = learned(LearningWithoutForgetting, (0, 1), strength=1.0)
    strategy.old = strategy.weights.copy()
    batch = task_of(strategy, part(0, 1))
    plain = NaiveFineTuning.errors_of(strategy, batch)
    assert np.allclose(strategy.errors_of(batch), plain, atol=1e-6)
    strategy.weights[:, 0] += 0.5
    added = strategy.errors_of(batch) - NaiveFineTuning.errors_of(strategy, batch)
    lifted = (batch.rows @ strategy.weights)[:, 0] > (batch.rows @ strategy.old)[:, 0]
    assert (added[lifted, 0] > 0).all()
    assert np.allclose(added[:, 2:], 0)


def memory_of(targets: list[int], seed: int = 0) -> ReplayMemory:
    """A memory of rows with some targets."""
    random = np.random.default_rng(seed)
    count = len(targets)
    rows = LabelledPart(
        random.integers(0, 256, (count, COLUMNS), np.uint8),
        np.asarray(targets),
        np.zeros(count, np.int64),
    )
    keys = random.random(count)
    return ReplayMemory.empty(COLUMNS).joined(rows, keys, np.zeros((count, 0), np.float32))


def test_a_random_memory_is_a_uniform_sample_of_all_rows_seen():
    """Filled task by task, it keeps the same rows as from all at once, in shares of the tasks."""
    targets = [0] * 300 + [1] * 100
    memory = memory_of(targets)
    at_once = kept_rows(memory, 80, "random", 0)
    first = kept_rows(memory.select(np.arange(300)), 80, "random", 0)
    pool = memory.select(np.concatenate([first, np.arange(300, 400)]))
    step_by_step = pool.select(kept_rows(pool, 80, "random", 0))
    assert np.array_equal(step_by_step.keys, memory.keys[at_once])
    assert 0.6 < (memory.targets[at_once] == 0).mean() < 0.9


def test_a_balanced_memory_gives_labels_the_same_share():
    """Of 90 places three labels get 30 each; a rare label keeps what it has."""
    memory = memory_of([0] * 300 + [1] * 100 + [2] * 60)
    kept = kept_rows(memory, 90, "balanced", 0)
    assert np.bincount(memory.targets[kept]).tolist() == [30, 30, 30]
    rare = memory_of([0] * 300 + [1] * 5)
    assert np.bincount(rare.targets[kept_rows(rare, 90, "balanced", 0)]).tolist() == [85, 5]


def test_a_selector_chooses_what_is_kept():
    """A selector gets the rows, their targets and the share of each; its choice is kept."""
    asked = []

    def newest(features, targets, share, seed):
        asked.append((features.shape, share, seed))
        return np.concatenate([np.flatnonzero(targets == one)[-share:] for one in (0, 1)])

    memory = memory_of([0] * 20 + [1] * 20)
    kept = kept_rows(memory, 10, newest, 4)
    assert kept.tolist() == [15, 16, 17, 18, 19, 35, 36, 37, 38, 39]
    assert asked == [((40, COLUMNS), 5, 4)]


def test_der_pulls_to_the_scores_that_a_row_had():
    """With scores kept far above today's, the replayed gradient lifts all scores."""
    strategy = learned(ExperienceReplay, (0, 1), outputs=1.0)
    strategy.replayed = task_of(strategy, part(0, 1))
    strategy.memory.logits[:] = 50.0
    strategy.outputs = 0.0
    strategy.random = np.random.default_rng(0)
    plain = strategy.gradient_of(task_of(strategy, part(0, 1)))
    strategy.outputs = 1.0
    strategy.random = np.random.default_rng(0)
    pulled = strategy.gradient_of(task_of(strategy, part(0, 1)))
    assert (pulled[-1] < plain[-1] - 1).all()


def test_prototypes_are_means_and_answers_cosines():
    """The nearest mean by cosine is answered, also for a label that comes in two tasks."""
    strategy = learned(NearestMean, (0, 1), (1, 2), scaling="raw")
    rows = [part(0, 1), part(1, 2)]
    features = np.concatenate([one.features for one in rows]).astype(np.float64)
    targets = np.concatenate([one.targets for one in rows])
    means = np.stack([features[targets == one].mean(axis=0) for one in range(3)])
    shown = part(0, 1, 2, seed=7).features
    cosines = (shown @ means.T) / np.outer(
        np.linalg.norm(shown.astype(float), axis=1), np.linalg.norm(means, axis=1)
    )
    assert np.allclose(strategy.answer(shown)[:, :3], cosines, atol=1e-4)


def test_streaming_lda_equals_row_by_row():
    """The sums of whole tasks equal those of the published loop over single rows."""
    strategy = learned(StreamingLda, (0, 1), (1, 2), scaling="raw")
    means, counts = np.zeros((LABELS, COLUMNS)), np.zeros(LABELS)
    covariance, seen = np.zeros((COLUMNS, COLUMNS)), 0
    for given in (part(0, 1), part(1, 2)):
        for row, target in zip(given.features / 255, given.targets, strict=True):
            apart = row - means[target] if counts[target] else np.zeros(COLUMNS)
            covariance = (covariance * seen + np.outer(apart, apart) * seen / (seen + 1)) / (
                seen + 1
            )
            means[target] = (means[target] * counts[target] + row) / (counts[target] + 1)
            counts[target] += 1
            seen += 1
    assert np.allclose(strategy.means, means, atol=1e-5)
    assert np.allclose(strategy.covariance, covariance, atol=1e-5)


def test_streaming_ridge_is_the_solution_of_all_rows():
    """Task by task, the weights are those of ridge regression on all rows at once."""
    strategy = learned(StreamingRidge, (0, 1), (2, 3), scaling="raw", penalty=0.2)
    given = [part(0, 1), part(2, 3)]
    rows = np.concatenate([one.features for one in given]) / 255.0
    wanted = one_hot(np.concatenate([one.targets for one in given]), LABELS)
    centred, usual = rows - rows.mean(axis=0), wanted.mean(axis=0)
    gram = centred.T @ centred
    gram += 0.2 * np.trace(gram) / COLUMNS * np.eye(COLUMNS)
    weights = np.linalg.solve(gram, centred.T @ (wanted - usual))
    assert np.allclose(strategy.weights[:-1], weights, atol=1e-3)


def test_ranpac_chooses_the_penalty_with_the_least_error():
    """The penalty is the best of all candidates on the last fifth, as by solving for each."""
    strategy = learned(RanPac, (0, 1), width=30)
    random = np.random.default_rng(3)
    rows = np.maximum(random.standard_normal((50, 30)), 0).astype(np.float32)
    wanted = one_hot(random.integers(0, LABELS, 50), LABELS)
    errors = {}
    for penalty in 10.0 ** np.arange(-8, 9):
        gram = (rows[:40].T @ rows[:40]).astype(np.float64) + penalty * np.eye(30)
        weights = np.linalg.solve(gram, rows[:40].T @ wanted[:40])
        errors[penalty] = np.square(rows[40:] @ weights - wanted[40:]).mean()
    assert strategy.choose_penalty(rows, wanted) == pytest.approx(
        min(errors, key=errors.__getitem__)
    )


def test_ranpac_projects_and_rectifies():
    """The rows are the rectified products with a fixed matrix; another seed draws another one."""
    strategy, other = RanPac(SHAPE, 1, width=30), RanPac(SHAPE, 2, width=30)
    strategy.learn(part(0, 1))
    shown = part(0, 1, seed=4).features
    expected = np.maximum(shown / np.float32(255) @ strategy.projection, 0)
    assert np.allclose(strategy.rows_of(shown), expected, atol=1e-5)
    assert not np.array_equal(strategy.projection, other.projection)


def test_ranpac_with_a_given_penalty_is_ridge_on_projected_rows():
    """With a penalty, the weights are those of centred ridge regression on the projected rows."""
    strategy = RanPac(SHAPE, 1, width=30, penalty=0.2)
    given = part(0, 1)
    strategy.learn(given)
    rows = strategy.rows_of(given.features).astype(np.float64)
    wanted = one_hot(given.targets, LABELS)
    centred = rows - rows.mean(axis=0)
    gram = centred.T @ centred
    gram += 0.2 * np.trace(gram) / 30 * np.eye(30)
    weights = np.linalg.solve(gram, centred.T @ (wanted - wanted.mean(axis=0)))
    assert np.allclose(strategy.weights[:-1], weights, atol=1e-3)
