"""The simulated worker."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge.core.events import GrowthReport
from edge.sim.faults import FaultPlan, no_faults
from edge.sim.simulated_worker import LATE_TIMES, Grower, SimulatedWorker
from tests.growers import accept, refuse_unmeasured
from tests.workers import a_job

DELAY = 5


def worker(grow: Grower = accept, *, killed: bool = False, late: bool = False) -> SimulatedWorker:
    """A worker that needs DELAY observations a job."""
    return SimulatedWorker(
        grow, DELAY, FaultPlan(no_faults, no_faults, lambda: killed, lambda: late)
    )


@pytest.mark.parametrize(("late", "due"), [(False, DELAY), (True, DELAY * LATE_TIMES)])
def test_a_result_comes_when_it_is_due_and_once(late: bool, due: int) -> None:
    """Nothing comes before its time, a late worker takes longer, and nothing comes twice."""
    found = worker(late=late)
    found.now = 100
    found.submit(a_job())
    for now in range(100, 100 + due):
        found.now = now
        assert found.collect() is None
    found.now = 100 + due
    result = found.collect()
    assert result is not None
    assert result.record is not None
    assert found.collect(wait=True) is None
    assert found.counts["worker_late"] == late


def test_a_killed_worker_reports_a_failure_and_no_adaptor() -> None:
    """The grown adaptor is lost, and the result reports the failure."""
    found = worker(killed=True)
    found.submit(a_job())
    result = found.collect(wait=True)
    assert result is not None
    assert result.record is None
    assert "killed" in result.reason
    assert found.counts["worker_killed"] == 1


def test_a_cancelled_job_has_no_result() -> None:
    """A cancelled job is abandoned; cancelling another one changes nothing."""
    found = worker()
    job = a_job()
    found.submit(job)
    found.cancel("crash", "another job")
    assert found.job == job
    found.cancel("crash", job.id)
    left: object = found.job
    assert left is None
    assert found.collect(wait=True) is None
    assert [(one.state, one.reason) for one in found.episodes] == [("abandoned", "crash")]


def test_episodes_follow_the_reports_of_the_device() -> None:
    """A version serves until the next one does, or until it is rolled back."""
    found = worker()
    for version, now in ((1, 10), (2, 40)):
        found.now = now
        found.submit(a_job(version=version))
        found.now = now + DELAY
        assert found.collect() is not None
        found.record_report(GrowthReport(domain="home", state="serving", version=version))
    first, second = found.episodes
    assert (first.asked_at, first.ended_at, first.until) == (10, 15, 45)
    assert (second.state, second.until, second.accuracy) == ("serving", None, 0.9)
    assert [trial.accuracy for trial in second.trials] == [0.7, 0.9]
    found.now = 60
    found.record_report(GrowthReport(domain="home", state="rolled back", version=2))
    assert [one.until for one in found.episodes] == [45, 60]


def test_a_growth_without_candidates_has_no_accuracy() -> None:
    """A growth without a fitting candidate has no accuracy, and is refused."""
    found = worker(refuse_unmeasured)
    found.submit(a_job())
    assert found.collect(wait=True) is not None
    found.record_report(
        GrowthReport(domain="home", state="refused", version=0, detail="nothing fits")
    )
    (only,) = found.episodes
    assert (only.state, only.reason, only.accuracy) == ("refused", "nothing fits", None)


def test_without_torch_there_is_no_grower() -> None:
    """Where torch is missing, nothing grows; a process of its own, since modules loaded a second
    time would stay behind."""
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from edge.sim.simulated_worker import find_grower\n"
        "print(find_grower())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.stdout.strip() == "None", found.stderr
