"""The benchmark of kinds on a small task: choice of a shape, budgets, failures, summary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nas
from edge.core.facts import stack_facts
from tests.contracts.test_adaptors import OTHERS, OWN, SPANS, facts

pytest.importorskip("torch")

from benchmarks.kinds import trial
from benchmarks.kinds.run import report, summarise
from benchmarks.nas.tasks import SearchTask

FRESH = stack_facts(facts("home", 7))
TASK = SearchTask(
    name="clouds",
    spans=SPANS,
    own=stack_facts(OWN),
    others=stack_facts(OTHERS),
    held=FRESH.features,
    sought=np.array(FRESH.labels),
)
LOWRANK = trial.Method("lowrank", recipe=False)


def outcome(method: str, gain: float, error: float, **changed: object) -> trial.KindOutcome:
    """The result of a method that is so much better than a head of 50 %."""
    made = trial.KindOutcome(
        method=method,
        task="a",
        draw=0,
        nbytes=1 << 20,
        blueprint=method,
        accuracy=0.5 + gain,
        head=0.5,
        error=error,
        seconds=0.1,
    )
    return replace(made, **changed)


def test_every_kind_and_recipe_is_a_method():
    """The head alone is the baseline; plain training is that of every kind."""
    names = {one.name for one in trial.list_methods()}
    assert names == (set(nas.KINDS) | set(nas.RECIPES)) - {"none", nas.PLAIN}


def test_methods_are_judged_within_each_budget():
    """Each budget has its own shape; one that nothing fits says so."""
    found = trial.try_methods(TASK, 0, [LOWRANK], [1, 2_000, 1 << 20])
    assert "no shape fits 1 bytes" in found[0].failure
    assert np.isnan(found[0].accuracy)
    for one in found[1:]:
        assert not one.failure
        assert one.blueprint.startswith("lowrank")
        assert 0.8 < one.accuracy <= 1
        assert one.error < 0.1


def test_a_method_that_diverges_is_left_out_and_reported(monkeypatch):
    """Arrays that overflow give no figures but a note with the reason."""

    def overflowing(blueprint, own, others, spans, seed):
        arrays = train(blueprint, own, others, spans, seed)
        return {name: array * np.float32(1e30) for name, array in arrays.items()}

    train = trial.train_adaptor
    monkeypatch.setattr(trial, "train_adaptor", overflowing)
    found = trial.try_methods(TASK, 0, [LOWRANK], [1 << 20])
    assert "left out, its numbers overflow" in found[0].failure
    made = report(found, [])
    assert not made.rows
    assert any("lowrank on clouds" in note for note in made.notes)
    assert made.summary["left_out"] == 1


def test_winners_are_ahead_by_more_than_the_error():
    """One draw above its error on one task is a winner; two errors make a clear one."""
    found = [
        outcome("lowrank", 0.03, 0.02),
        outcome("lowrank", -0.1, 0.02, task="b"),
        outcome("linear", 0.05, 0.02),
        outcome("sparse", 0.01, 0.02),
        outcome("pool", 0.9, 0.02, failure="left out"),
    ]
    summary = summarise(found)
    assert summary["winners"] == 2
    assert summary["clear_winners"] == 1
    assert summary["best_gain_points"] == pytest.approx(5)
    assert summary["left_out"] == 1
    assert (summary["kinds"], summary["recipes"]) == (len(nas.KINDS), len(nas.RECIPES))


def test_gains_are_means_over_draws():
    """Two draws of a task are one figure."""
    rows = report([outcome("pool", 0.02, 0.01), outcome("pool", 0.04, 0.01, draw=1)], []).rows
    values = {(row.method, row.metric): row.value for row in rows}
    assert values["pool", "gain_a_1024KiB"] == pytest.approx(3)
    assert values["pool", "error_a_1024KiB"] == pytest.approx(1)
