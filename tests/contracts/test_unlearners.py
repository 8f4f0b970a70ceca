"""The contract of methods of unlearning, for every entry of the table, on real digits."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
load_digits = pytest.importorskip("sklearn.datasets").load_digits

from edge.sim.unlearning import UNLEARNERS, standardise_columns  # noqa: E402 - needs torch
from edge.sim.unlearning.network import PeerNetwork, TrainingRecipe  # noqa: E402 - needs torch
from edge.sim.unlearning.problem import (  # noqa: E402 - needs torch
    UnlearningProblem,
    UnlearningTask,
)

FACTS, FORGOTTEN = 240, 24
ANSWERS_MAX = 1e4
"""Far above any logit of a network that still answers."""
PARAMETERS_FACTOR = 4
"""Weights of a result may be so many times as large as the original's: no runaway ascent."""


def make_task(answers: str) -> UnlearningTask:
    """A task on digits: their labels, or their pixel in the middle from the others."""
    digits = load_digits()
    features = np.rint(digits.data[:FACTS] * 15).astype(np.uint8)
    rows = standardise_columns(features, slice(FACTS))
    recipe = TrainingRecipe(steps=60, rate=3e-3)
    if answers == "labels":
        targets = torch.from_numpy(digits.target[:FACTS].astype(np.int64))
        network = PeerNetwork(64, 10)
    else:
        targets, rows = rows[:, 36].clone(), rows.clone()
        rows[:, 36] = 0
        targets = (targets - targets.mean()) / targets.std()
        network = PeerNetwork(64, 1, "values")
    return UnlearningTask(network=network, recipe=recipe, rows=rows, targets=targets, seed=3)


TASKS = {answers: make_task(answers) for answers in ("labels", "values")}
CASES = [
    pytest.param((name, answers), id=f"{name}-{answers}")
    for name, method in UNLEARNERS.items()
    for answers in sorted(method.answers)
]


def request_on(task: UnlearningTask, strength: float = 1.0) -> UnlearningProblem:
    """Forget the last rows."""
    rows = torch.arange(FACTS)
    return UnlearningProblem(task, rows[:-FORGOTTEN], rows[-FORGOTTEN:], strength)


PREPARED: dict[tuple[int, int], object] = {}
"""What methods prepared, by method and task: a contract below says that it stays the same."""


def prepare(method, task: UnlearningTask):
    """Prepare a method once for a task."""
    key = id(method), id(task)
    if key not in PREPARED:
        PREPARED[key] = method.prepare(task)
    return PREPARED[key]


@pytest.fixture(params=CASES)
def case(request):
    """Each method on each kind of answer that it is defined for."""
    name, answers = request.param
    return UNLEARNERS[name], TASKS[answers]


@pytest.fixture
def found(case):
    """What the method makes of the request."""
    method, task = case
    return method.unlearn(request_on(task), prepare(method, task))


def test_a_method_is_deterministic(case, found):
    """The same request and seed give bit-equal answers, from a second preparation too."""
    method, task = case
    again = method.unlearn(request_on(task), method.prepare(task))
    assert torch.equal(found.answer(task.rows), again.answer(task.rows))


def test_a_method_leaves_its_inputs_alone(case):
    """Rows, targets, the original network and what was prepared stay bit for bit."""
    method, task = case
    prepared = prepare(method, task)
    problem = request_on(task)
    before = [task.rows.clone(), task.targets.clone(), problem.forget.clone()]
    weights = {name: one.clone() for name, one in task.original.items()}
    first = method.unlearn(problem, prepared).answer(task.rows)
    second = method.unlearn(problem, prepared).answer(task.rows)
    after = (task.rows, task.targets, problem.forget)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(torch.equal(one, task.original[name]) for name, one in weights.items())
    assert torch.equal(first, second)


def test_a_method_keeps_shapes(case, found):
    """Answers are float32 [n, outputs] without gradients of their own, parameters as before."""
    _, task = case
    answers = found.answer(task.rows[:5])
    assert answers.shape == (5, task.network.outputs)
    assert answers.dtype == torch.float32
    assert not answers.requires_grad
    if found.parameters is not None:
        shapes = {name: one.shape for name, one in task.original.items()}
        assert {name: one.shape for name, one in found.parameters.items()} == shapes


def test_a_method_stays_bounded(case):
    """At its largest strength, weights and answers are finite and not blown up."""
    method, task = case
    problem = request_on(task, max(method.strengths))
    found = method.unlearn(problem, prepare(method, task))
    answers = found.answer(task.rows)
    assert torch.isfinite(answers).all()
    assert float(answers.abs().max()) < ANSWERS_MAX
    if found.parameters is not None:
        size = sum(float(one.square().sum()) for one in found.parameters.values())
        start = sum(float(one.square().sum()) for one in task.original.values())
        assert size < PARAMETERS_FACTOR * start


def test_a_method_changes_the_answers_that_it_promises_to_change(case):
    """At its largest strength, forgotten rows are answered with a larger loss than before."""
    method, task = case
    if not method.changes:
        return
    problem = request_on(task, max(method.strengths))
    rows, targets = task.rows[problem.forget], task.targets[problem.forget]
    before = task.network.losses(task.network.outputs_of(task.original, rows), targets)
    found = method.unlearn(problem, prepare(method, task))
    after = task.network.losses(found.answer(rows), targets)
    assert float(after.mean()) > float(before.mean())


def test_a_method_still_answers_the_remaining_rows(case, found):
    """Remaining rows are answered better than by guessing."""
    _, task = case
    problem = request_on(task)
    answers, targets = found.answer(task.rows[problem.retain]), task.targets[problem.retain]
    if task.network.answers == "labels":
        right = float((answers.argmax(1) == targets).float().mean())
        assert right > 2 / task.network.outputs
    else:
        error = float((answers[:, 0] - targets).square().mean())
        assert error < float(targets.var())


@pytest.mark.parametrize("answers", ["labels", "values"])
def test_the_oracle_equals_a_network_that_never_saw_the_rows(answers):
    """Retraining is bit-equal to training a task that only ever had the remaining rows."""
    task = TASKS[answers]
    problem = request_on(task)
    found = UNLEARNERS["retrain"].unlearn(problem, UNLEARNERS["retrain"].prepare(task))
    twin = UnlearningTask(
        network=task.network,
        recipe=task.recipe,
        rows=task.rows[problem.retain],
        targets=task.targets[problem.retain],
        seed=task.seed,
    )
    assert found.parameters is not None
    assert all(torch.equal(found.parameters[name], one) for name, one in twin.original.items())


def test_slices_serve_no_block_that_a_forgotten_row_has_shaped():
    """S3T answers as a model whose forgotten rows had any other content."""
    task = TASKS["labels"]
    method = UNLEARNERS["s3t"]
    one_row = UnlearningProblem(task, torch.arange(1, FACTS), torch.tensor([0]), 1.0)
    other = make_task("labels")
    other.rows[0] = other.rows[0].flip(0)
    expected = method.unlearn(one_row, prepare(method, task))
    changed = UnlearningProblem(other, one_row.retain, one_row.forget, 1.0)
    found = method.unlearn(changed, method.prepare(other))
    assert torch.equal(found.answer(task.rows), expected.answer(task.rows))
    assert prepare(method, task).prefix(frozenset(range(4))) == ()
