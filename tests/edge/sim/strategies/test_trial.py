from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from edge.sim.strategies import STREAMS, LabelledPart, StrategyOutcome, run_strategy
from tests.edge.sim.strategies.tiny_strategies import (
    Newest,
    NotANumber,
    Overflowing,
    Prototypes,
    Unscored,
    blob_source,
)

CLASSES = STREAMS["classes"](blob_source())
RELEASES = STREAMS["releases"](blob_source())


def outcome(**changes) -> StrategyOutcome:
    """An outcome of three tasks."""
    matrix = ((90.0, None, None), (70.0, 80.0, None), (60.0, 85.0, 50.0))
    made = StrategyOutcome(
        strategy="s",
        world="w",
        variant="v",
        seed=0,
        tasks=("a", "b", "c"),
        matrix=matrix,
        unchanged=matrix,
        learn_s=(1.0, 2.0, 3.0),
    )
    return replace(made, **changes)


def test_figures_follow_from_the_matrix() -> None:
    """Final accuracy, forgetting, error and compute by their definitions: forgetting is the fall
    from the best to the last, negative where a task got better."""
    one = outcome()
    assert one.curve == (90.0, 75.0, 65.0)
    assert one.final == 65.0
    assert one.forgetting == ((90 - 60) + (80 - 85)) / 2
    assert one.error == pytest.approx(100 - (90 + 80 + 50) / 3)
    assert one.compute_s == 6.0
    assert outcome(matrix=((90.0,),), unchanged=((90.0,),)).forgetting is None


def test_forgetting_counts_rows_that_keep_their_meaning() -> None:
    """A task without such rows is left out of forgetting, and of nothing else."""
    unchanged = ((None, None, None), (None, 80.0, None), (None, 70.0, 50.0))
    one = outcome(unchanged=unchanged)
    assert one.forgetting == 10.0
    assert one.final == 65.0


def test_strategies_compute_on_one_thread() -> None:
    """CPU seconds of strategies compare: linear algebra uses one thread while they run."""
    counts: list[int] = []

    class Watched(Prototypes):
        def learn(self, part, ended=frozenset()) -> None:
            counts.extend(one["num_threads"] for one in threadpool_info())
            super().learn(part, ended)

    with threadpool_limits(2):
        run_strategy("watched", Watched, CLASSES, 0)
    assert set(counts) == {1}


def test_the_matrix_is_that_of_a_plain_loop() -> None:
    """Entries equal the share of right answers, computed without the harness; tasks with unknown
    labels have none."""
    found = run_strategy("prototypes", Prototypes, CLASSES, 0)
    plain = Prototypes(CLASSES_SHAPE, 0)
    for at, task in enumerate(CLASSES.tasks):
        plain.learn(task.train)
        for column, other in enumerate(CLASSES.tasks):
            if column > at:
                assert found.matrix[at][column] is None
            else:
                right = plain.answer(other.test.features).argmax(1) == other.test.targets
                assert found.matrix[at][column] == pytest.approx(100 * right.mean())
    assert found.nbytes == plain.nbytes
    assert len(found.learn_s) == len(CLASSES.tasks)


class CLASSES_SHAPE:  # noqa: N801 - stands for a value
    """What `Prototypes` reads of a shape."""

    labels = len(CLASSES.labels)
    columns = CLASSES.columns


def test_a_strategy_that_forgets_everything_is_measured_so() -> None:
    """One that knows only the newest task is right on it and wrong on all others."""
    found = run_strategy("newest", Newest, CLASSES, 0)
    last = found.matrix[-1]
    assert last[-1] is not None
    assert last[-1] > 90
    assert last[:-1] == (0.0,) * (len(last) - 1)
    kept = run_strategy("prototypes", Prototypes, CLASSES, 0)
    assert found.forgetting is not None
    assert kept.forgetting is not None
    assert found.forgetting > 90
    assert kept.forgetting < 20


def test_a_domain_that_comes_later_is_measured_before_it_is_learned() -> None:
    """Where all labels are known, the matrix is full."""
    found = run_strategy("prototypes", Prototypes, STREAMS["domains"](blob_source()), 0)
    assert all(one is not None for row in found.matrix for one in row)


def test_releases_are_measured_on_what_labels_mean_now() -> None:
    """After a label changed, rows of its old meaning no longer count: a strategy that drops the
    old meaning is right, one that keeps it is not."""

    class Stubborn(Prototypes):
        """Knows no rows but the first of each label."""

        def learn(self, part, ended=frozenset()) -> None:
            """Learn labels that were never seen."""
            del ended
            super().learn(part.select(np.flatnonzero(self.counts[part.targets] == 0)))

    dropped = run_strategy("prototypes", Prototypes, RELEASES, 0)
    kept = run_strategy("stubborn", Stubborn, RELEASES, 0)
    assert dropped.final > 95
    assert kept.final < 60
    last = dropped.unchanged[-1]
    assert sum(one is not None for one in last) >= 2
    assert dropped.matrix[0][1] is None


def test_a_given_task_limits_the_answers_to_its_labels() -> None:
    """With the task given, labels of other tasks cannot be the answer; without, they can."""
    parts = [
        LabelledPart(task.train.features, task.train.targets, np.full(len(task.train), at))
        for at, task in enumerate(CLASSES.tasks)
    ]
    tests = [
        LabelledPart(task.test.features, task.test.targets, np.full(len(task.test), at))
        for at, task in enumerate(CLASSES.tasks)
    ]
    tasks = tuple(
        replace(task, train=train, test=test)
        for task, train, test in zip(CLASSES.tasks, parts, tests, strict=True)
    )
    given = replace(
        CLASSES,
        tasks=tasks,
        domains=tuple(task.name for task in tasks),
        task_given=True,
    )

    class Fixed(Prototypes):
        """Prefers the label 0 whatever it sees."""

        def answer(self, features, domains=None):
            """Score the label 0 highest."""
            scores = super().answer(features, domains)
            scores[:, 0] = 1
            return scores

    open_tasks = replace(given, task_given=False)
    limited, free = (run_strategy("fixed", Fixed, one, 0) for one in (given, open_tasks))
    assert free.matrix[-1][1:] == (0.0,) * (len(tasks) - 1)
    assert min(one for one in limited.matrix[-1][1:] if one is not None) > 80


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (NotANumber, "diverged: scores that are no finite numbers"),
        (Overflowing, "diverged: the loss is not finite"),
        (Unscored, "diverged: rows without a score"),
    ],
)
def test_a_strategy_that_diverges_gives_its_reason(kind, reason) -> None:
    """Not a number, a declared exception, and no score at all are outcomes, not errors."""
    found = run_strategy("bad", kind, CLASSES, 3)
    assert found.failure == reason
    assert found.matrix == ()
    assert found.seed == 3


def test_the_first_import_is_not_learning() -> None:
    """What a strategy spends once in a process, as on importing torch, is in no figure."""
    spent: list[float] = []

    def slow(shape, seed):
        """Compute for half a second the first time."""
        if not spent:
            end = time.process_time() + 0.5
            while time.process_time() < end:
                pass
            spent.append(end)
        return Prototypes(shape, seed)

    assert run_strategy("slow", slow, CLASSES, 0).compute_s < 0.4


def test_compute_elsewhere_is_counted() -> None:
    """CPU seconds that a strategy reports from other processes are added to its own."""

    class Elsewhere(Prototypes):
        """Spends ten seconds a task in another process."""

        cpu_s_elsewhere = 0.0

        def learn(self, part, ended=frozenset()) -> None:
            self.cpu_s_elsewhere += 10
            super().learn(part, ended)

    found = run_strategy("elsewhere", Elsewhere, CLASSES, 0)
    assert all(10 <= spent < 11 for spent in found.learn_s)
