"""The benchmark of strategies: shared states, settings, figures and the few-shot streams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

pytest.importorskip("threadpoolctl")

from benchmarks.report import BenchmarkRow
from benchmarks.strategies.courses import CourseOutcome, run_course
from benchmarks.strategies.grids import GRIDS, candidates
from benchmarks.strategies.run import make_report, run, summarise, tuned
from benchmarks.strategies.streams import validation
from benchmarks.strategies.tricks import NAMES, few_shot
from edge.sim.strategies import STRATEGIES, LabelledPart, StreamTask, TaskStream

COLUMNS, LABELS = 8, 3


def part(domain: int, seed: int, labels: Sequence[int] = (0, 1, 2)) -> LabelledPart:
    """Rows of a domain, which moves the bright column of each label."""
    random = np.random.default_rng([domain, seed])
    targets = random.choice(labels, 60)
    features = random.integers(0, 90, (60, COLUMNS), np.uint8)
    features[np.arange(60), (targets + domain) % COLUMNS] += 120
    return LabelledPart(features, targets, np.full(60, domain))


def orders(count: int = 3) -> tuple[TaskStream, ...]:
    """Every order of some domains."""
    tasks = [StreamTask(f"domain {one}", part(one, 0), part(one, 1)) for one in range(count)]
    return tuple(
        TaskStream(
            world="toy",
            variant=" ".join(map(str, order)),
            tasks=tuple(tasks[one] for one in order),
            spans=((0, COLUMNS),),
            labels=("a", "b", "c"),
            domains=tuple(f"domain {one}" for one in range(count)),
        )
        for order in permutations(range(count))
    )


@pytest.mark.parametrize("name", ["naive", "replay", "ridge", "slda", "ncm", "auricle, heads"])
def test_shared_states_give_the_results_of_runs_of_their_own(name):
    """Each order's accuracies are those of a run that shares nothing with the others."""
    together = run_course(name, orders(), 1)
    for stream, shared in zip(orders(), together, strict=True):
        (alone,) = run_course(name, [stream], 1, share=False)
        assert shared.variant == alone.variant == stream.variant
        assert np.allclose(shared.matrix, alone.matrix, atol=0.02, equal_nan=True)


def test_a_task_is_answered_from_when_it_is_learned():
    """The matrix has a row for each task and NaN above the diagonal, and CPU time adds up over
    tasks."""
    found = run_course("ncm", orders(2), 1)[0]
    assert math.isnan(found.matrix[0][1])
    assert not math.isnan(found.matrix[1][0])
    assert found.cpu_s > 0


def test_forgetting_counts_from_the_best():
    """Forgetting is the mean fall of each task but the last since its best accuracy."""
    nan = math.nan
    found = CourseOutcome(
        strategy="s",
        world="w",
        variant="v",
        seed=0,
        matrix=((0.9, nan, nan), (0.7, 0.8, nan), (0.8, 0.5, 0.6)),
    )
    assert found.forgetting == pytest.approx((0.1 + 0.3) / 2)
    assert found.final == pytest.approx((0.8 + 0.5 + 0.6) / 3)


def test_settings_are_chosen_without_the_test_rows():
    """Validation holds out a fifth of what is learned; the test rows are not among either."""
    stream = orders()[0]
    held = validation(stream)
    for task, own in zip(stream.tasks, held.tasks, strict=True):
        assert len(own.test) == len(task.train) // 5
        assert len(own.train) + len(own.test) == len(task.train)
        both = np.concatenate([own.train.features, own.test.features])
        assert np.array_equal(np.unique(both, axis=0), np.unique(task.train.features, axis=0))


def test_the_best_candidate_is_chosen(monkeypatch):
    """Of a grid's candidates the one with the best accuracy on validation rows is used; one that
    diverges is not."""
    grid = {"naive": {"rate": (1e38, 0.03, 1e-9)}}
    monkeypatch.setattr("benchmarks.strategies.grids.GRIDS", grid)
    assert tuned("naive", orders()[0]) == {"rate": 0.03}


def test_every_strategy_has_its_grid():
    """All but the runtime's entries are tuned, with settings that their kinds take."""
    assert set(GRIDS) == set(STRATEGIES) - {"auricle", "auricle, heads"}
    for name in ("naive", "ewc", "slda", "ranpac"):
        settings = list(candidates(name))
        assert len(settings) == math.prod(map(len, GRIDS[name].values()))


def outcome(strategy: str, world: str, right: float, cpu_s: float = 1.0) -> CourseOutcome:
    """An outcome of one task."""
    return CourseOutcome(
        strategy=strategy, world=world, variant="v", seed=0, matrix=((right,),), cpu_s=cpu_s
    )


def test_the_summary_compares_with_the_best_peer():
    """The best peer has the best mean over worlds, the worst stream counts from the best of each,
    and joint training is neither."""
    outcomes = [
        outcome("auricle", "one", 0.9, 8.0),
        outcome("auricle", "two", 0.8, 8.0),
        outcome("ncm", "one", 0.92),
        outcome("ncm", "two", 0.6),
        outcome("replay", "one", 0.85, 2.0),
        outcome("replay", "two", 0.79, 2.0),
        outcome("joint", "one", 0.99),
        outcome("joint", "two", 0.99),
    ]
    summary = make_report(outcomes).summary
    assert summary["ours"] == pytest.approx(0.85)
    assert summary["best_peer"] == pytest.approx(0.82)
    assert summary["ours_over_best_peer_points"] == pytest.approx(3.0)
    assert summary["worst_stream_points"] == pytest.approx(-2.0)
    assert summary["compute_ratio"] == pytest.approx(4.0)
    assert summary["methods"] == 4


def test_a_strategy_that_diverged_is_left_out():
    """It has no rows and is no peer."""
    lost = CourseOutcome(strategy="ncm", world="one", variant="v", seed=0, diverged="overflow")
    report = make_report([outcome("auricle", "one", 0.9), outcome("replay", "one", 0.5), lost])
    assert {row.method for row in report.rows} == {"auricle", "replay"}
    assert report.summary["best_peer"] == pytest.approx(0.5)


def test_without_rows_there_is_no_summary():
    """Nothing measured gives an empty summary, and an unknown world ends the command."""
    assert summarise([BenchmarkRow("ncm", "tricks, digits", 0.5)]) == {}
    with pytest.raises(SystemExit, match="unknown set 'moon'"):
        run(None, sets=["moon"])


def test_few_shot_streams_have_one_full_task():
    """The first task has most labels; each later one a label with five rows."""
    stream = TaskStream(
        world="toy",
        variant="v",
        tasks=tuple(
            StreamTask(f"{one}", part(one, 0, [one]), part(one, 1, [one])) for one in range(5)
        ),
        spans=((0, COLUMNS),),
        labels=tuple("abcde"),
        domains=tuple("abcde"),
    )
    found = few_shot(stream, 0)
    assert [len(task.train) for task in found.tasks] == [180, 5, 5]
    assert [len(np.unique(task.train.targets)) for task in found.tasks] == [3, 1, 1]
    assert len(NAMES) == 8
