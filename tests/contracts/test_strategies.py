"""The contract of strategies of continual learning, for every entry of the table, on real
digits."""

from __future__ import annotations

import gc
from functools import partial
from itertools import combinations
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn.datasets")

from edge.core import ConfigError, result_without_record
from edge.sim import load_optdigits
from edge.sim.strategies import (
    STRATEGIES,
    LabelledPart,
    StreamShape,
    TrainingDivergedError,
    left_out,
)

DIGITS = load_optdigits()
PIXELS = DIGITS.images.reshape(len(DIGITS), -1)
TRAIN, TEST = np.arange(900), np.arange(900, 1200)
SHAPE = StreamShape(spans=((0, 64),), labels=10, domains=2)
TASKS = ((0, 1), (2, 3, 4), (5,))
"""Digits of each task; 6 to 9 never come."""
KNOWN = [0, 1, 2, 3, 4, 5]
SLACK = 40_000
"""Bytes of small objects and random generators, which do not count."""


def refuse(job):
    """A growth that accepts nothing: the growth of adaptors has tests of its own."""
    return result_without_record(job, "not in this test")


SMALLER: dict[str, dict[str, Any]] = {"auricle": {"grow": refuse}, "ranpac": {"width": 200}}
"""Settings that keep these tests fast."""
MEMORIES = (
    "replay",
    "replay, refresh",
    "replay, balanced",
    "replay, selected",
    "replay, adaptive",
    "der++",
)


@pytest.fixture(params=list(STRATEGIES))
def name(request):
    """Each strategy of the table that this installation can begin."""
    if request.param in left_out():
        pytest.skip(left_out()[request.param])
    return request.param


def begin(name: str, shape: StreamShape = SHAPE, seed: int = 3, **settings: Any) -> Any:
    """Begin a strategy with settings that are fast enough for a test."""
    return STRATEGIES[name](shape, seed, **(SMALLER.get(name, {}) | settings))


def part(digits: tuple[int, ...], domain: int = 0, rows: np.ndarray = TRAIN) -> LabelledPart:
    """A task's own copy of the rows of some digits."""
    own = rows[np.isin(DIGITS.labels[rows], digits)]
    return LabelledPart(PIXELS[own].copy(), DIGITS.labels[own].copy(), np.full(len(own), domain))


def taught(name: str, **settings: Any) -> Any:
    """A strategy that has learned all tasks."""
    strategy = begin(name, **settings)
    for task in TASKS:
        strategy.learn(part(task))
    return strategy


def test_a_strategy_is_deterministic(name):
    """The same seed gives bit-equal scores, and another strategy between them changes nothing."""
    first, second, other = taught(name), begin(name), begin(name, seed=8)
    for task in TASKS:
        other.learn(part(task[::-1]))
        second.learn(part(task))
    assert np.array_equal(first.answer(PIXELS[TEST]), second.answer(PIXELS[TEST]))


def test_a_strategy_learns(name):
    """After one task of two digits, most held-out ones are right."""
    strategy = begin(name)
    strategy.learn(part((0, 1)))
    shown = part((0, 1), rows=TEST)
    assert (strategy.answer(shown.features).argmax(1) == shown.targets).mean() > 0.9


def test_a_strategy_keeps_no_rows_that_it_was_lent(name):
    """Overwriting a task's arrays after it was learned changes no later answer."""
    strategy, given = begin(name), [part(task) for task in TASKS]
    for one in given:
        strategy.learn(one)
        one.features[:] = 7
        one.targets[:] = 9
    assert np.array_equal(strategy.answer(PIXELS[TEST]), taught(name).answer(PIXELS[TEST]))


def test_an_answer_changes_nothing(name):
    """Answering, also rows that look like nothing known, leaves later scores and bytes alone."""
    strategy = taught(name)
    expected, size = strategy.answer(PIXELS[TEST]), strategy.nbytes
    strategy.answer(255 - PIXELS[TEST])
    assert np.array_equal(strategy.answer(PIXELS[TEST]), expected)
    assert strategy.nbytes == size


def held_bytes(root: object) -> int:
    """The bytes of all arrays and byte strings that an object reaches, each once."""
    seen, todo, total = set(), [root], 0
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(
            one, ModuleType | type | FunctionType | BuiltinFunctionType
        ):
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            total += one.nbytes if one.base is None else 0
        if isinstance(one, bytes):
            total += len(one)
        todo += gc.get_referents(one)
    return total


def test_a_strategy_counts_what_it_keeps(name):
    """All arrays and byte strings that it reaches count in its bytes."""
    strategy = taught(name)
    assert held_bytes(strategy) <= strategy.nbytes + SLACK


def test_a_strategy_keeps_within_its_bound(name):
    """Its bytes stay below the declared bound after every task; joint training alone has none."""
    strategy = begin(name)
    assert (strategy.bytes_max is None) == (name == "joint")
    for turn in range(3):
        for task in TASKS:
            strategy.learn(part(task, domain=turn % 2))
            assert strategy.nbytes <= (strategy.bytes_max or np.inf)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_full_memory_stays_full(memory):
    """With a memory of 30 rows, 500 rows of three tasks leave 30, with some of each task but where
    chance decides."""
    strategy = taught(memory, capacity=30)
    assert len(strategy.memory) == 30
    tasks = [np.isin(strategy.memory.targets, task).any() for task in TASKS]
    assert all(tasks)


def test_scores_are_finite_for_known_labels_only(name):
    """Scores are finite for the labels that were taught and -inf for the others, for one row, for
    many and for none."""
    strategy = taught(name)
    for count in (0, 1, 40):
        found = strategy.answer(PIXELS[TEST[:count]])
        assert found.shape == (count, 10)
        assert found.dtype == np.float32
        assert np.isfinite(found[:, KNOWN]).all()
        assert np.isneginf(found[:, 6:]).all()


def test_before_the_first_task_nothing_is_known(name):
    """A strategy that has learned nothing scores every label -inf."""
    assert np.isneginf(begin(name).answer(PIXELS[TEST[:4]])).all()


def test_an_ended_label_is_never_answered_again(name):
    """After its end, a label's scores are -inf, also after another task; the others are still
    answered, and taught again it counts as new."""
    strategy = taught(name)
    strategy.learn(part((6, 7)), frozenset({1, 3}))
    strategy.learn(part((8,)))
    found = strategy.answer(PIXELS[TEST])
    assert np.isneginf(found[:, [1, 3, 9]]).all()
    assert np.isfinite(found[:, [0, 2, 4, 5, 6, 7, 8]]).all()
    strategy.learn(part((1, 0)))
    shown = part((1,), rows=TEST)
    assert (strategy.answer(shown.features).argmax(1) == 1).mean() > 0.3


@pytest.mark.parametrize("memory", [*MEMORIES, "joint"])
def test_rows_of_ended_labels_leave_the_memory(memory):
    """No row of an ended label is replayed."""
    strategy = taught(memory)
    strategy.learn(part(()), frozenset({0, 3}))
    assert not np.isin(strategy.memory.targets, [0, 3]).any()
    assert np.isin([1, 2, 4, 5], strategy.memory.targets).all()


@pytest.mark.parametrize("case", ["one class", "one row", "constant columns", "no rows"])
def test_a_strategy_survives_poor_tasks(name, case):
    """Poor tasks, first or later, leave scores finite."""
    poor = {
        "one class": part((4,)),
        "one row": part((4,), rows=TRAIN[:12]),
        "constant columns": LabelledPart(
            np.full((20, 64), 9, np.uint8), np.arange(20) % 2 + 3, np.zeros(20, np.int64)
        ),
        "no rows": part(()),
    }[case]
    for before in (False, True):
        strategy = begin(name)
        for one in (poor, part((0, 1))) if before else (part((0, 1)), poor):
            strategy.learn(one)
        assert np.isfinite(strategy.answer(PIXELS[TEST])[:, [0, 1]]).all()


def test_a_rate_that_is_too_high_is_reported(name):
    """Numbers that overflow raise an error that says what to do, and nothing else."""
    if name in {"auricle", "auricle, heads", "ncm", "slda", "ridge", "ranpac"}:
        pytest.skip("nothing is trained at a learning rate")
    strategy = begin(name, rate=1e30)

    def learn_all() -> None:
        for task in (*TASKS, *TASKS):
            strategy.learn(part(task))

    with pytest.raises(TrainingDivergedError, match="smaller learning rate"):
        learn_all()


def test_a_given_domain_limits_the_answers(name):
    """Where the domain is given, the labels of other domains are not answered."""
    shape = StreamShape(spans=SHAPE.spans, labels=10, domains=2, task_given=True)
    strategy = begin(name, shape)
    strategy.learn(part((0, 1), domain=0))
    strategy.learn(part((2, 3), domain=1))
    rows = TEST[:6]
    found = strategy.answer(PIXELS[rows], np.array([0, 1, 0, 1, 0, 1]))
    assert np.isneginf(found[::2, 2:]).all()
    assert np.isfinite(found[::2, :2]).all()
    assert np.isfinite(found[1::2, 2:4]).all()
    assert np.isneginf(found[1::2, :2]).all()


def test_no_two_entries_of_the_table_are_one_strategy():
    """The scores of any two strategies differ after three tasks, but for growth that accepts
    nothing."""
    scores = {
        name: taught(name, **({"capacity": 30} if name in MEMORIES else {})).answer(PIXELS[TEST])
        for name in STRATEGIES
        if name not in {*left_out(), "auricle, heads"}
    }
    alike = [
        pair
        for pair in combinations(scores, 2)
        if np.allclose(scores[pair[0]], scores[pair[1]], atol=1e-6)
    ]
    assert alike == []


def test_without_torch_trained_adapters_are_left_out(monkeypatch):
    """Without torch, those that train adapters or grow them are named with the command that adds
    it, and those that need it raise a clear error; all others begin and learn."""
    monkeypatch.setattr("edge.sim.strategies.kinds.find_spec", lambda _name: None)
    monkeypatch.setattr("edge.sim.strategies.product.find_spec", lambda _name: None)
    missing = left_out()
    assert set(missing) == {"auricle", "aper", "lae", "mos", "tricks"}
    assert all("[grow]" in reason for reason in missing.values())
    with pytest.raises(ConfigError, match="torch, which is not installed"):
        STRATEGIES["aper"](SHAPE, 1)
    for name in STRATEGIES.keys() - missing.keys():
        kind = STRATEGIES[name]
        strategy = kind(SHAPE, 1, **(SMALLER["ranpac"] if name == "ranpac" else {}))
        strategy.learn(part((0, 1)))
        assert np.isfinite(strategy.answer(PIXELS[TEST[:3]])[:, :2]).all()


def test_the_runtime_grows_by_its_own_rule():
    """A domain is due with enough facts, and again when they have grown by half; each job names its
    domain."""
    jobs = []

    def note(job):
        jobs.append((job.domain, len(job.own)))
        return refuse(job)

    strategy = begin("auricle", grow=note)
    strategy.learn(part((0, 1), rows=TRAIN[:200]))
    strategy.learn(part((2,), rows=TRAIN[:50]))
    strategy.learn(part((2, 3), domain=1, rows=TRAIN[:300]))
    assert [domain for domain, _ in jobs] == ["domain-0000", "domain-0001"]


def test_settings_reach_the_kind():
    """A keyword of a table's entry overrides its default."""
    kind = partial(STRATEGIES["replay"], capacity=7)
    strategy: Any = kind(SHAPE, 1)
    strategy.learn(part((0, 1)))
    assert len(strategy.memory) == 7
