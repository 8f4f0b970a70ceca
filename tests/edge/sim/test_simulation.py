from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import encoder
from edge.extras import install_command
from edge.sim.faults import FaultPlan, FaultTrigger
from edge.sim.harness import run_scenario
from edge.sim.recording import RunRecording
from edge.sim.scenarios import Scenario, parse_scenario
from edge.sim.simulation import SimulationReport, simulate
from edge.sim.sweep import make_card
from edge.sim.world import build_world
from tests.homes import run as cli

STORM = {
    "crash": 0.04,
    "disk_full": 0.15,
    "clock_jump": 0.05,
    "lost": 0.05,
    "doubled": 0.05,
    "reordered": 0.1,
}
BOUNDARIES = 26


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz of two domains of well separated classes, 24 features wide."""
    random = np.random.default_rng(5)
    rows, labels, domains = [], [], []
    for domain in range(2):
        for label in range(3):
            centre = random.normal(size=24) * 4.5
            rows.append(centre + random.normal(size=(90, 24)))
            labels += [label] * 90
            domains += [domain] * 90
    path = tmp_path_factory.mktemp("features") / "features.npz"
    np.savez(path, features=np.concatenate(rows), labels=labels, domain=domains)
    return path


def metrics_of(report: SimulationReport) -> list[tuple[int, object, str]]:
    """Seed, metrics and digest of each run of a sweep over recordings."""
    runs = [run for run in report.recordings if isinstance(run, RunRecording)]
    assert len(runs) == len(report.recordings)
    return [(run.seed, run.metrics, run.digest) for run in runs]


def small(features: Path, **changes) -> Scenario:
    """Two domains, late labels, two requests to forget."""
    domain = {"source": str(features), "test": 20}
    content = {
        "title": "small",
        "encoder": {"model": "vector"},
        "device": {"facts_per_concept": 30, "false_alarm_rate": 0.05, "growth": False},
        "domains": {name: domain | {"where": {"domain": at}} for at, name in enumerate("ab")},
        "phases": [
            {"domain": "a", "enrol": 120, "observations": 20, "label_fraction": 0.5},
            {
                "domain": "b",
                "observations": 60,
                "label_fraction": 0.7,
                "label_delay": 2,
                "label_domain": True,
            },
        ],
        "forget": [{"at": 50, "label": "1"}, {"at": 70, "domain": "a"}],
    }
    return parse_scenario(content | changes)


def strike_once(place: int) -> FaultTrigger:
    """A fault at the call number `place`, counted from 0, and at no other."""
    calls = itertools.count()
    return lambda: next(calls) == place


def run(scenario: Scenario, seed: int = 1, fault_plan: FaultPlan | None = None):
    """Run a scenario in this process and keep nothing."""
    model = encoder.open_model(make_card(scenario))
    return run_scenario(scenario, build_world(scenario, seed), model, seed, fault_plan=fault_plan)


def test_a_calm_run_learns_detects_and_forgets(features: Path) -> None:
    """The matrix has a row per phase, the change is detected, and receipts list the forgotten
    facts."""
    calm = run(small(features))
    assert np.shape(calm.accuracy_matrix) == (2, 2)
    assert calm.accuracy_matrix[0][0] > 0.9
    assert calm.accuracy_matrix[1][1] > calm.accuracy_matrix[0][1]
    assert len(calm.steps) == 80
    assert [step.novel for step in calm.steps[:20]] == [False] * 20
    assert calm.steps[20].novel is True
    assert [receipt.request_id for receipt in calm.receipts] == ["forget-50", "forget-70"]
    assert calm.metrics["facts_forgotten"] == sum(r.facts_forgotten for r in calm.receipts) > 40
    assert calm.metrics["rejected"] == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_breaks_no_promise_and_is_the_same_each_time(features: Path, seed: int) -> None:
    """Crashes, full disks and a disturbed world break nothing, and a seed says all about a run."""
    scenario = small(features, faults=STORM)
    first, second = run(scenario, seed), run(scenario, seed)
    assert first.metrics == second.metrics
    assert first.steps == second.steps
    assert first.marks == second.marks
    assert first.digest == second.digest
    assert first.metrics["crash"] > 0
    assert first.metrics["disk_full"] > 0


def test_a_crash_at_any_boundary_loses_nothing_acknowledged(features: Path) -> None:
    """A single crash at each boundary of a short history ends in the knowledge of a calm run,
    unless it cost an observation its late label."""
    phases = [
        {"domain": "a", "enrol": 60, "observations": 2, "label_fraction": 1.0},
        {"domain": "b", "observations": 2, "label_fraction": 1.0, "label_domain": True},
    ]
    scenario = small(features, phases=phases, forget=[{"at": 3, "label": "1"}])
    calm = run(scenario)
    same = 0
    for boundary in range(BOUNDARIES):
        fault_plan = FaultPlan(strike_once(boundary), lambda: False)
        crashed = run(scenario, fault_plan=fault_plan)
        assert crashed.metrics["crash"] == 1, f"boundary {boundary} is past the end"
        assert len(crashed.receipts) == len(calm.receipts)
        if not crashed.metrics["rejected"]:
            same += 1
            assert crashed.digest == calm.digest, f"crash at boundary {boundary}"
    assert same > BOUNDARIES / 3


def test_a_full_disk_at_any_write_changes_nothing(features: Path) -> None:
    """A write that finds no room leaves the store as it was, and works when it is repeated."""
    scenario = small(features, phases=[{"domain": "a", "enrol": 60, "observations": 3}], forget=[])
    calm = run(scenario)
    for write in range(2):
        fault_plan = FaultPlan(lambda: False, strike_once(write))
        full = run(scenario, fault_plan=fault_plan)
        assert full.metrics["disk_full"] == 1
        assert full.digest == calm.digest


def test_evaluation_leaves_the_runtime_alone(features: Path) -> None:
    """More checkpoints do not change any decision."""
    phase = {"domain": "a", "enrol": 90, "observations": 20}
    later = {"domain": "a", "observations": 20}
    once = run(small(features, phases=[phase | {"observations": 40}], forget=[]))
    twice = run(small(features, phases=[phase, later], forget=[]))
    assert len(twice.accuracy_matrix) == 2
    assert [step.score for step in once.steps] == [step.score for step in twice.steps]
    assert once.digest == twice.digest


def test_a_sweep_writes_a_report_and_resumes(features: Path, tmp_path: Path) -> None:
    """Seeds times variants are run, reported, and not run again; a broken run file is."""
    scenario = small(
        features, variants={"few": {"phases.1.label_fraction": 0.1}, "many": {"device.window": 8}}
    )
    progress_calls: list[tuple[str, int, int]] = []
    report = simulate(
        scenario, (1, 2), out=tmp_path, progress=lambda *progress: progress_calls.append(progress)
    )
    assert len(report.recordings) == 4
    assert progress_calls[-1] == ("running", 4, 4)
    assert report.page == tmp_path / "report.html"
    files = sorted((tmp_path / "runs").iterdir())
    assert len(files) == 4
    files[1].write_bytes(files[1].read_bytes()[:100])
    progress_calls.clear()
    again = simulate(
        scenario, (1, 2), out=tmp_path, progress=lambda *progress: progress_calls.append(progress)
    )
    assert {what for what, _, _ in progress_calls} == {"simulating"}
    assert metrics_of(again) == metrics_of(report)


def test_each_variant_is_reported_by_itself(features: Path, tmp_path: Path) -> None:
    """The command prints, and the page holds, mean and deviation over the seeds of each variant;
    nothing averages over variants."""
    path = tmp_path / "two.toml"
    path.write_text(
        f"""title = "two"
encoder = {{ model = "vector" }}
device = {{ false_alarm_rate = 0.05, growth = false }}
[domains.a]
source = "{features}"
test = 20
where = {{ domain = 0 }}
[[phases]]
domain = "a"
enrol = 120
observations = 20
[variants.usual]
"phases.0.enrol" = 120
[variants.starved]
"phases.0.enrol" = 6
"""
    )
    words = ("simulate", path, "--seed", 1, "--seed", 2, "--out", tmp_path / "report")
    result = cli(*words)
    assert result.exit_code == 0, result.output
    usual, starved = result.stdout.split("\nstarved\n")
    printed = [
        next(line.split("\t") for line in part.splitlines() if line.startswith("online_accuracy"))
        for part in (usual, starved)
    ]
    runs = json.loads((tmp_path / "report/report.json").read_text())["runs"]
    for cells, variant in zip(printed, ("two: usual", "two: starved"), strict=True):
        found = [run["metrics"]["online_accuracy"] for run in runs if run["title"] == variant]
        deviation = abs(found[0] - found[1]) / 2**0.5
        assert cells[1:3] == [f"{sum(found) / 2:.4g}", f"{deviation:.2g}"]
        assert cells[5] == "2"
    page = (tmp_path / "report/report.html").read_text()
    assert 'class="tiles"' not in page
    assert "Means ± standard deviations" in page


def test_jobs_do_not_change_metrics(features: Path) -> None:
    """The same runs in other processes give the same metrics, in the same order."""
    scenario = small(features)
    alone, together = (simulate(scenario, (1, 2), jobs=jobs) for jobs in (1, 2))
    assert metrics_of(alone) == metrics_of(together)


def test_a_missing_ray_names_the_extra(features: Path, monkeypatch) -> None:
    """Asking for Ray where it is not installed names the extra to install."""
    import sys

    from edge import EdgeError

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EdgeError) as caught:
        simulate(small(features), backend="ray")
    assert install_command("cluster") in caught.value.hint


def test_the_report_is_complete_and_escaped(features: Path, tmp_path: Path) -> None:
    """report.json holds the steps by column; report.html holds no foreign markup or address."""
    title = "<script>alert('$x$')</script>"
    simulate(small(features, title=title), out=tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["format"] == 2
    (only,) = content["runs"]
    assert len(only["steps"]["score"]) == len(only["steps"]["alarm"]) == 80
    assert content["summary"][title]["average_accuracy"]["runs"] == 1
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert page.count("<svg") == 4
    assert not [word for word in ("src=", "@import", "url(http") if word in page]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"phases": [{"domain": "a", "enrol": 10_000}]}, "left"),
        ({"encoder": {"model": "no/such/card.toml"}}, "card"),
    ],
)
def test_an_impossible_scenario_reports_the_reason(features: Path, changes, word: str) -> None:
    """Too few samples and a missing model are errors before anything runs."""
    with pytest.raises(Exception, match=word):
        simulate(small(features, **changes))


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz of two domains with the same classes, the second one with all columns moved."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(3, 24)) * 1.2
    labels = np.tile(np.repeat([0, 1, 2], 90), 2)
    domain = np.repeat([0, 1], 270)
    rows = centres[labels] + random.normal(size=(540, 24))
    rows += domain[:, None] * random.normal(size=24) * 4.5
    path = tmp_path_factory.mktemp("moved") / "moved.npz"
    np.savez(path, features=rows, labels=labels, domain=domain)
    return path


def test_variants_switch_the_adaptation_without_labels(moved: Path) -> None:
    """With "auto" the unlabelled second domain is answered better than with "off"; the enrolled
    one is answered alike."""
    phases = [
        {"domain": "a", "enrol": 120, "observations": 20},
        {"domain": "b", "observations": 160},
    ]
    found = {}
    for adaptation in ("auto", "off"):
        device = {"false_alarm_rate": 0.05, "growth": False, "adaptation": adaptation}
        recording = run(small(moved, device=device, phases=phases, forget=[]))
        right = [step.guess == step.truth_label for step in recording.steps]
        found[adaptation] = np.mean(right[:20]), np.mean(right[100:])
    assert found["auto"][0] == found["off"][0]
    assert found["auto"][1] > found["off"][1] + 0.1
