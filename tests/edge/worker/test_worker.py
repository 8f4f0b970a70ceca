from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from random import Random

import pytest

from edge.core.jobs import GrowthJob, GrowthResult
from edge.extras import install_command
from edge.worker.worker import Worker
from tests import workers
from tests.workers import a_job, gone, wait


@pytest.fixture(autouse=True)
def roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let worker processes import the tests from any working folder."""
    held = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*map(str, workers.ROOTS), *held]))


@pytest.fixture
def hanging() -> Iterator[Worker]:
    """A worker that never answers, with a job."""
    worker = workers.worker("hanging")
    worker.start(a_job())
    yield worker
    worker.stop()


def run(kind: str, job: GrowthJob | None = None, **limits: float) -> GrowthResult:
    """The result of a worker of a kind for a job."""
    worker = workers.worker(kind, **limits)  # type: ignore[arg-type]
    worker.start(job or a_job())
    result = wait(worker)
    assert worker.job is None
    assert worker.poll() is None
    return result


@pytest.mark.parametrize("kind", ["grown", "talking"])
def test_a_result_comes_back_to_the_bit(kind):
    """The worker's result arrives unchanged, whatever libraries print meanwhile."""
    job = a_job(400, width=64)
    result, expected = run(kind, job), workers.grown(job)
    assert result.record is not None
    assert expected.record is not None
    assert result.record.digest == expected.record.digest
    assert (result.reason, result.search) == ("better", ("a stage",))
    assert result.candidates == expected.candidates


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("failing", "RuntimeError: the loss is NaN"),
        ("crashing", "it crashed: SIGSEGV"),
        ("leaving", "status 3 libx: ?[31mcannot go on"),
        ("early", "it was killed"),
        ("nothing", "cannot be read"),
        ("garbage", "cannot be read"),
        ("lying", "facts that the job did not have"),
        ("straying", "for another job"),
        ("bent", "cannot serve: building an adaptor of kind linear"),
        ("broken", "NaN or infinity"),
    ],
)
def test_a_worker_that_fails_is_a_result_with_a_reason(kind, words):
    """However a worker ends without a usable result, there is a result with the reason, and no
    record."""
    result = run(kind)
    assert result.reason.startswith("the worker failed: ")
    assert words in result.reason
    assert result.reason.isprintable()
    assert (result.job_id, result.domain, result.record) == ("home:1", "home", None)


def test_a_worker_takes_no_more_memory_than_allowed():
    """A job that needs more memory ends, and the reason names the setting."""
    result = run("hungry", memory_mib_max=256)
    assert result.record is None
    assert "more than 256 MiB" in result.reason
    assert "growth.memory_mib_max" in result.reason


def test_a_worker_takes_no_more_time_than_allowed():
    """A job that hangs ends at the time limit, even if it ignores signals."""
    started = time.monotonic()
    result = run("hanging", seconds_max=1.0)
    assert 0.9 < time.monotonic() - started < 30
    assert result.reason == "the worker failed: it took longer than 1 s"


def test_a_stopped_process_is_over_after_its_time():
    """A process that is stopped by a signal ends at the time limit too."""
    worker = workers.worker("hanging", seconds_max=1.0)
    worker.start(a_job())
    assert worker.process_id is not None
    os.kill(worker.process_id, signal.SIGSTOP)
    assert "longer than 1 s" in wait(worker).reason


def test_an_answer_is_taken_however_late_it_is_fetched():
    """A result that was ready in time counts, even if it is polled long after."""
    worker = workers.worker("grown", seconds_max=4.0)
    worker.start(a_job())
    time.sleep(4.5)
    assert wait(worker).record is not None


def test_a_worker_gives_way_and_loads_no_torch():
    """The process is nice, single-threaded and limited, writes no core file, and imports only what
    its job needs."""
    output = run("reporting", memory_mib_max=300).search
    nice = min(os.nice(0) + 10, 19)
    assert output[:5] == (f"nice {nice}", "threads 1", "data 300", "core 0", "torch False")
    assert output[5] == "batch True" or sys.platform != "linux"


def test_stopping_ends_the_process(hanging):
    """A stopped worker has no process and no job, and accepts the next one."""
    process_id = hanging.process_id
    hanging.stop()
    hanging.stop()
    assert gone(process_id)
    assert hanging.job is None
    assert hanging.poll() is None
    hanging.start(a_job())
    assert hanging.job is not None


def test_one_job_at_a_time(hanging):
    """A second job is an error of the caller, and does not disturb the first."""
    with pytest.raises(AssertionError, match="one job"):
        hanging.start(a_job())
    assert hanging.poll() is None
    assert hanging.job is not None


def test_a_process_that_cannot_be_started_is_a_result(tmp_path):
    """If the system starts no process, the result has the reason, once."""
    worker = Worker(256, 5.0, (str(tmp_path / "nothing"),))
    worker.start(a_job())
    result = worker.poll()
    assert result is not None
    assert "no process could be started" in result.reason
    assert worker.poll() is None
    worker.start(a_job())
    worker.stop()
    assert worker.poll() is None


@pytest.mark.parametrize("seed", range(6))
def test_a_worker_may_be_killed_at_any_moment(seed):
    """After kill -9 at a random time there is a complete result or a failure, and the next job
    succeeds."""
    worker = workers.worker("slow")
    worker.start(a_job())
    time.sleep(Random(seed).random() * 1.2)
    if worker.process_id is not None:
        os.kill(worker.process_id, signal.SIGKILL)
    result = wait(worker)
    assert result.record is not None or "it was killed" in result.reason
    worker.start(a_job())
    assert wait(worker).record is not None


PARENT = textwrap.dedent("""
    import time
    from tests.workers import a_job, worker
    held = worker("hanging")
    held.start(a_job())
    print(held.process_id, flush=True)
    time.sleep(60)
""")


def test_a_worker_dies_with_its_parent():
    """If the serving process is killed, its worker ends too."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    process_id = int(parent.stdout.readline())
    time.sleep(0.5)
    parent.kill()
    parent.communicate()
    assert gone(process_id)


def test_without_torch_the_reason_is_how_to_install_it(tmp_path, monkeypatch):
    """Without torch the result names the extra to install."""
    missing = 'raise ModuleNotFoundError("No module named \'torch\'", name="torch")'
    (tmp_path / "torch.py").write_text(missing, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = Worker(1024, 60.0)
    worker.start(a_job(60))
    result = wait(worker, 60)
    assert result.record is None
    assert install_command("grow") in result.reason


def test_the_process_that_serves_loads_no_torch():
    """Neither home nor command line nor the worker's handle imports torch or training code."""
    code = (
        "import sys, edge.cli.app, edge.home.home, edge.worker.worker;"
        "print(*(n for n in sys.modules if n == 'torch' or n.startswith('edge.growth')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == ""


def test_a_job_touches_no_disk(tmp_path, monkeypatch):
    """Features go to the worker and back without a file, even if the temporary folder is
    missing."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.chdir(tmp_path)
    assert run("grown").record is not None
    assert list(tmp_path.iterdir()) == []
