"""The essential update of each strategy with trained adapters does what its paper says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge.sim.strategies.adapters import (  # noqa: E402 - needs torch
    AdaptAndMerge,
    LearnAccumulateEnsemble,
    LowRank,
)
from edge.sim.strategies.arithmetic import softmax, unit_rows  # noqa: E402 - needs torch
from edge.sim.strategies.few_shot import (  # noqa: E402 - needs torch
    BagOfTricks,
    Tricks,
    equal_angles,
    supervised_contrast,
)
from edge.sim.strategies.strategy import LabelledPart, StreamShape  # noqa: E402 - needs torch
from edge.sim.strategies.surgery import ROUNDS_MAX, ModelSurgery  # noqa: E402 - needs torch

COLUMNS, LABELS = 12, 6
SHAPE = StreamShape(spans=((0, 8), (8, 12)), labels=LABELS, domains=1)
NO_TRICK = Tricks(**dict.fromkeys(Tricks.__dataclass_fields__, False))


def part(*labels: int, count: int = 60, seed: int = 0) -> LabelledPart:
    """Rows of some labels; each label is bright in a column of its own."""
    random = np.random.default_rng([seed, *labels])
    targets = random.choice(labels, count)
    features = random.integers(0, 100, (count, COLUMNS), np.uint8)
    features[np.arange(count), targets] += 120
    return LabelledPart(features, targets, np.zeros(count, np.int64))


def learned(kind: Any, *tasks: tuple[int, ...], **settings: Any) -> Any:
    """A strategy that has learned some tasks."""
    strategy = kind(SHAPE, 1, **settings)
    for task in tasks:
        strategy.learn(part(*task))
    return strategy


def same(one: LowRank, other: LowRank) -> bool:
    """Whether two adapters are equal."""
    return np.array_equal(one.down, other.down) and np.array_equal(one.up, other.up)


def test_aper_trains_its_adapter_on_the_first_task_alone():
    """The adapter changes the rows, and no later task changes it."""
    strategy = learned(AdaptAndMerge, (0, 1, 2))
    first = strategy.adapter
    assert np.abs(first.up).max() > 0
    strategy.learn(part(3, 4))
    assert same(strategy.adapter, first)


def test_aper_compares_frozen_and_adapted_features_side_by_side():
    """Answers are cosines with the means of both features of a label."""
    strategy = learned(AdaptAndMerge, (0, 1, 2), (3, 4))
    given = [part(0, 1, 2), part(3, 4)]
    rows = [strategy.rows_of(one.features) for one in given]
    both = np.concatenate([np.concatenate([one, strategy.adapter(one)], axis=1) for one in rows])
    targets = np.concatenate([one.targets for one in given])
    means = np.stack([both[targets == one].mean(axis=0) for one in range(5)])
    shown = strategy.rows_of(part(0, 4, seed=8).features)
    expected = unit_rows(np.concatenate([shown, strategy.adapter(shown)], axis=1)) @ (
        unit_rows(means).T
    )
    assert np.allclose(strategy.answer(part(0, 4, seed=8).features)[:, :5], expected, atol=1e-4)


def test_lae_follows_its_online_adapter_as_a_moving_average():
    """With one step after the head's own, the offline adapter is keep * the first task's adapter
    + the rest of the new online one."""
    strategy = learned(LearnAccumulateEnsemble, (0, 1, 2), keep=0.9, epochs=2)
    before = strategy.online
    at_first = strategy.offline
    assert at_first is None
    strategy.learn(part(3, 4, 5))
    assert not same(strategy.online, before)
    expected = 0.9 * before.up + 0.1 * strategy.online.up
    assert np.allclose(strategy.offline.up, expected, atol=1e-6)
    # A step of the head alone leaves the online adapter as it is, and the average goes on.
    expected = 0.9 * strategy.offline.up + 0.1 * strategy.online.up
    strategy.learn(part(3, 4, 5, seed=2))
    expected = 0.9 * expected + 0.1 * strategy.online.up
    assert np.allclose(strategy.offline.up, expected, atol=1e-6)


def test_lae_answers_with_the_larger_of_both_softmaxes():
    """Each score is the maximum of the online and the offline expert's."""
    strategy = learned(LearnAccumulateEnsemble, (0, 1, 2), (3, 4, 5))
    shown = part(0, 5, seed=3).features
    rows = strategy.rows_of(shown)
    experts = [
        softmax(one(rows) @ strategy.head[:-1] + strategy.head[-1])
        for one in (strategy.online, strategy.offline)
    ]
    assert np.allclose(strategy.answer(shown), np.maximum(*experts), atol=1e-6)


def test_lae_learns_a_task_over_its_own_labels():
    """The head's columns of earlier labels stay as they are."""
    strategy = learned(LearnAccumulateEnsemble, (0, 1, 2))
    before = strategy.head[:, :3].copy()
    strategy.learn(part(3, 4, 5))
    assert np.allclose(strategy.head[:, :3], before, atol=1e-4)
    assert np.abs(strategy.head[:, 3:]).max() > 0


def test_mos_merges_an_adapter_with_the_mean_of_the_earlier_ones():
    """With full merging the third adapter is the mean of the first two; without, it is its own."""
    merged = learned(ModelSurgery, (0, 1), (2, 3), merge=0.0)
    one, other = merged.adapters
    merged.merging = 1.0
    merged.learn(part(4, 5))
    assert np.allclose(merged.adapters[2].up, (one.up + other.up) / 2, atol=1e-6)
    apart = learned(ModelSurgery, (0, 1), (2, 3), (4, 5), merge=0.0)
    assert not np.allclose(apart.adapters[2].up, (one.up + other.up) / 2, atol=1e-3)


def test_mos_retrieves_until_the_task_stays():
    """The logits are those of the task that is returned, and nearly all rows end where their
    class belongs to that task."""
    strategy = learned(ModelSurgery, (0, 1), (2, 3), (4, 5))
    rows = strategy.rows_of(part(0, 1, 2, 3, 4, 5, count=200, seed=6).features)
    task, logits = strategy.retrieve(rows)
    named = strategy.classes.tasks[logits.argmax(axis=1)]
    assert (task == named).mean() > 0.9
    assert ROUNDS_MAX == 4
    for one in np.unique(task):
        own = task == one
        head = strategy.classes.head
        expected = strategy.adapters[one](rows[own]) @ head[:-1] + head[-1]
        assert np.allclose(logits[own], expected, atol=1e-4)


def test_mos_refines_a_wrong_first_guess():
    """Rows whose frozen features name another task end with the task that their class names."""
    strategy = learned(ModelSurgery, (0, 1), (2, 3))
    given = part(0, 1, 2, 3, count=200, seed=6)
    rows = strategy.rows_of(given.features)
    right, _ = strategy.retrieve(rows)
    strategy.frozen_scores = lambda rows: np.tile(  # every first guess is a class of the last task
        np.eye(len(strategy.classes.labels))[-1], (len(rows), 1)
    )
    refined, _ = strategy.retrieve(rows)
    true = given.targets // 2
    assert (true == 1).mean() < 0.6
    assert (refined == true).mean() > 0.65
    assert (refined == right).mean() > 0.8


def test_prototypes_at_equal_angles():
    """Every pair of assigned prototypes has the same cosine, the least possible."""
    axes = equal_angles(5, 12, np.random.default_rng(0))
    cosines = (axes @ axes.T)[~np.eye(5, dtype=bool)]
    assert np.allclose(cosines, -1 / 4, atol=1e-5)
    assert np.allclose(np.linalg.norm(equal_angles(20, 12, np.random.default_rng(0)), axis=1), 1)


def test_supervised_contrast_is_that_of_the_paper():
    """The loss equals the published sum over anchors and their positives."""
    random = np.random.default_rng(2)
    rows = unit_rows(random.standard_normal((7, 5)).astype(np.float32))
    targets = np.array([0, 0, 1, 1, 1, 2, 0])
    near, expected = rows @ rows.T / 0.1, []
    for at in range(7):
        others = [one for one in range(7) if one != at]
        same_label = [one for one in others if targets[one] == targets[at]]
        if same_label:
            total = np.log(np.exp(near[at, others]).sum())
            expected.append(-np.mean([near[at, one] - total for one in same_label]))
    found = supervised_contrast(torch.from_numpy(rows), torch.from_numpy(targets))
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_subnet_tunes_the_smallest_weights_alone():
    """Later tasks change a tenth of an adapter's numbers, those of the least size."""
    tricks = replace(NO_TRICK, tuned=True, subnet=True)
    strategy = learned(BagOfTricks, (0, 1, 2, 3), tricks=tricks)
    before = strategy.adapter
    strategy.learn(part(4))
    for name in ("down", "up"):
        old, new = getattr(before, name), getattr(strategy.adapter, name)
        changed = old != new
        assert 0 < changed.mean() <= 0.11
        assert np.abs(old[changed]).max() <= np.quantile(np.abs(old), 0.1) + 1e-6


def test_without_tuning_later_tasks_leave_the_adapter_alone():
    """The adapter is frozen after the first task, as in the paper's baseline."""
    strategy = learned(BagOfTricks, (0, 1, 2, 3), tricks=NO_TRICK)
    before = strategy.adapter
    strategy.learn(part(4))
    assert same(strategy.adapter, before)


@pytest.mark.parametrize("name", list(Tricks.__dataclass_fields__))
def test_every_trick_changes_the_answers(name):
    """Each switch alone gives other scores than none; the subnet needs tuning."""
    base = replace(NO_TRICK, tuned=name == "subnet")
    shown = part(0, 4, seed=5).features
    plain, changed = (
        learned(BagOfTricks, (0, 1, 2, 3), (4,), (5,), tricks=tricks).answer(shown)
        for tricks in (base, replace(base, **{name: True}))
    )
    assert not np.allclose(plain, changed, atol=1e-5)
