"""Runs in which adaptors grow, are refused, get lost and end."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import encoder
from edge.extras import missing_torch
from edge.sim import harness
from edge.sim.checkers import BrokenPromiseError
from edge.sim.faults import FaultPlan, FaultTrigger, no_faults
from edge.sim.harness import run_scenario
from edge.sim.recording import RunRecording
from edge.sim.scenarios import Scenario, parse_scenario
from edge.sim.simulated_worker import Grower
from edge.sim.sweep import make_card
from edge.sim.world import build_world
from tests.growers import accept, refuse, waver


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz of two domains of well separated classes, 24 features wide."""
    random = np.random.default_rng(5)
    rows = [
        random.normal(size=24) * 3 + random.normal(size=(90, 24))
        for _ in itertools.product(range(2), range(3))
    ]
    path = tmp_path_factory.mktemp("features") / "features.npz"
    domains, labels = np.repeat([0, 1], 270), np.tile(np.repeat([0, 1, 2], 90), 2)
    np.savez(path, features=np.concatenate(rows), labels=labels, domain=domains)
    return path


def small(features: Path, **changes) -> Scenario:
    """Two domains, both labelled, and a request that reaches the first adaptor."""
    domain = {"source": str(features), "test": 20}
    content = {
        "title": "small",
        "encoder": {"model": "vector"},
        "device": {"false_alarm_rate": 0.05, "growth_delay": 4},
        "domains": {name: domain | {"where": {"domain": at}} for at, name in enumerate("ab")},
        "phases": [
            {"domain": "a", "enrol": 120, "observations": 30},
            {"domain": "b", "observations": 60, "label_fraction": 0.7, "label_domain": True},
        ],
        "forget": [{"at": 80, "domain": "a", "label": "1"}],
    }
    return parse_scenario(content | changes)


def run(
    scenario: Scenario,
    grow: Grower | None = accept,
    fault_plan: FaultPlan | None = None,
    seed: int = 1,
) -> RunRecording:
    """Run a scenario in this process and keep nothing."""
    model = encoder.open_model(make_card(scenario))
    return run_scenario(
        scenario, build_world(scenario, seed), model, seed, fault_plan=fault_plan, grow=grow
    )


def strike_once() -> FaultTrigger:
    """FaultTrigger the first time."""
    calls = itertools.count()
    return lambda: next(calls) == 0


def test_labels_lead_to_adaptors_that_serve(features: Path) -> None:
    """Enrolled and labelled domains are grown, one at a time, each served after its delay."""
    found = run(small(features, forget=[]))
    served = [one for one in found.episodes if one.state == "serving"]
    assert {one.domain for one in served} == {"a", "b"}
    assert served[0].ended_at == served[0].asked_at + 4
    assert found.metrics["adaptors_grown"] == len(served)
    assert found.metrics["held_out_gain"] == pytest.approx(0.1)
    assert (found.metrics["adaptor_bytes"] or 0) > 0
    assert found.metrics["average_accuracy_heads"] is not None
    assert sum(mark.kind == "adaptor" for mark in found.marks) == len(served)


def test_forgetting_ends_adaptors_and_they_are_grown_again(features: Path) -> None:
    """No version outlives a fact it was grown from; the remaining facts grow a new one."""
    found = run(small(features))
    touched = [one for one in found.episodes if one.domain == "a"]
    assert len(touched) > 1
    assert touched[0].until == 80
    assert touched[-1].facts < touched[0].facts
    assert "adaptors" in found.receipts[0].rebuilt


def test_nothing_serves_that_does_no_better(features: Path) -> None:
    """A refused growth leaves heads alone, and is not tried again on the same facts."""
    found = run(small(features, forget=[]), refuse)
    assert {one.state for one in found.episodes} == {"refused"}
    assert found.metrics["adaptors_grown"] == 0
    assert found.metrics["adaptor_bytes"] is None
    assert sum(one.domain == "a" for one in found.episodes) == 1


def test_without_a_grower_heads_answer_and_the_report_states_it(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where torch is missing the run goes on, and its first mark says why nothing grew."""
    monkeypatch.setattr(harness, "find_grower", lambda: None)
    found = run(small(features), None)
    assert found.episodes == ()
    assert [mark.text for mark in found.marks if mark.kind == "growth"] == [missing_torch()]
    assert found.digest == run(small(features)).digest


@pytest.mark.parametrize("fault", ["worker_killed", "worker_late"])
def test_a_worker_that_fails_costs_nothing_but_its_job(features: Path, fault: str) -> None:
    """Killed or late workers leave knowledge as it would have been."""
    found = run(small(features, faults={fault: 1.0}))
    assert found.digest == run(small(features)).digest
    assert found.metrics[fault] == len(found.episodes) > 0
    states = {one.state for one in found.episodes}
    assert states == ({"refused"} if fault == "worker_killed" else {"serving", "abandoned"})


@pytest.mark.parametrize("place", range(12))
def test_a_crash_at_any_boundary_keeps_the_promises(features: Path, place: int) -> None:
    """A crash around a growth ends in the knowledge of a calm run, and in adaptors that serve."""
    scenario = small(features, phases=[{"domain": "a", "enrol": 60, "observations": 8}], forget=[])
    calls = itertools.count()
    crashed = run(scenario, fault_plan=FaultPlan(lambda: next(calls) == place, no_faults))
    assert crashed.metrics["crash"] == 1
    assert crashed.digest == run(scenario).digest


def test_a_full_disk_at_install_keeps_the_serving_adaptor(features: Path) -> None:
    """An adaptor that finds no room is dropped whole, and grown again."""
    phases = [{"domain": "a", "enrol": 60, "observations": 8}, {"domain": "a", "observations": 8}]
    scenario = small(features, phases=phases, forget=[])
    calls = itertools.count()
    # Writes before it: the facts, and the geometry.
    full = run(scenario, fault_plan=FaultPlan(no_faults, lambda: next(calls) == 2))
    assert full.metrics["disk_full"] == 1
    assert full.digest == run(scenario).digest
    assert (full.metrics["adaptors_grown"] or 0) >= 1


def test_a_storm_is_the_same_each_time(features: Path) -> None:
    """Every fault at once breaks no promise, and a seed says all about a run."""
    faults = {
        **dict.fromkeys(("crash", "disk_full", "lost", "doubled"), 0.03),
        **dict.fromkeys(("worker_killed", "worker_late"), 0.3),
    }
    first, second = (run(small(features, faults=faults)) for _ in range(2))
    assert first.metrics == second.metrics
    assert first.episodes == second.episodes
    assert first.digest == second.digest


def test_an_adaptor_that_grows_differently_is_found(features: Path) -> None:
    """A grower that gives another adaptor for the same job breaks a promise."""
    with pytest.raises(BrokenPromiseError, match="grown again"):
        run(small(features), waver())
