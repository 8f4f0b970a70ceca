"""The worker: a separate process per job, which searches and trains, and the handle that runs it.

`python -m edge.worker.worker MEMORY_MIB SECONDS PARENT` reads a job from standard input and writes
its result to standard output.  Both are files in memory: no job data touches a disk, and the
serving process never blocks on a pipe.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final, Generic, TypeVar

import numpy as np

from ..core import EdgeError, GrowthJob, GrowthResult, result_without_record
from ..core.adaptors import build_transform
from ..extras import missing_torch
from ..storage import pack_data, unpack_data
from .priority import NICENESS
from .solver_thread import SolverThread

MIB: Final = 1 << 20
"""Bytes in a mebibyte."""

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = (sys.executable, "-P", "-m", "edge.worker.worker")
ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
STUDY: Final = "study"
"""The first argument if the job is a `ForecasterTrainingJob`."""

PR_SET_PDEATHSIG: Final = 1
"""From <linux/prctl.h>; see prctl(2)."""

ERROR_BYTES: Final = 2_000
"""Bytes read from the end of standard error: the last line of a traceback is in them."""

ERROR_CHARS: Final = 200
"""Characters of an error message that are reported: one line of a message or log."""

Runner = Callable[[GrowthJob], GrowthResult]
J = TypeVar("J")
T = TypeVar("T")


class Worker:
    """Runs one job at a time in a process that may crash, hang or be killed without harm; one that
    only solves an adaptor, in a thread.

    memory_mib_max: of the process's private data (RLIMIT_DATA).  seconds_max: from start to result.
    command: of the process; three arguments are appended.  The process ends with the thread that
    called `start`.
    """

    def __init__(
        self, memory_mib_max: int, seconds_max: float, command: Sequence[str] = COMMAND
    ) -> None:
        self._memory_mib_max = memory_mib_max
        self._seconds_max = seconds_max
        self._command = command
        self._task: WorkerTask[GrowthJob] | None = None
        self._solver: SolverThread | None = None
        self._unstarted: GrowthResult | None = None
        self._obstacle: str | None = None

    @property
    def obstacle(self) -> str:
        """The reason why no job can run here, or ''.  Cost: a search for torch, once."""
        if self._obstacle is None:
            missing = self._command == COMMAND and find_spec("torch") is None
            self._obstacle = missing_torch() if missing else ""
        return self._obstacle

    @property
    def job(self) -> GrowthJob | None:
        """The job that runs, or whose result is not polled yet."""
        running = self._solver or self._task
        return running.job if running else None

    @property
    def process_id(self) -> int | None:
        """The worker's process id while a job runs."""
        return self._task.process.pid if self._task else None

    def start(self, job: GrowthJob) -> None:
        """Start a job; no other may be running.  If no process can be started, the result has the
        reason.

        Cost: a temporary copy of the job's features, and starting a process.
        """
        assert self.job is None, "one job at a time"
        if job.solved:
            self._solver = SolverThread(job)
            return
        limits = (self._memory_mib_max, self._seconds_max, os.getpid())
        try:
            self._task = WorkerTask(job, [*self._command, *map(str, limits)], self._seconds_max)
        except OSError as error:
            self._unstarted = _failure(job, f"no process could be started: {error.strerror}")

    def poll(self) -> GrowthResult | None:
        """Return the result once it is available; None while the job runs, or without a job.

        Never waits and never raises: an error in the worker becomes the result's reason.
        """
        task = self._task
        if self._solver is not None:
            solved = self._solver.poll()
            self._solver = self._solver if solved is None else None
            return solved
        if task is None:
            unstarted, self._unstarted = self._unstarted, None
            return unstarted
        running = task.process.poll() is None
        if running and time.monotonic() <= task.deadline:
            return None
        if running or task.process.returncode == -signal.SIGALRM:
            result = _failure(task.job, f"it took longer than {self._seconds_max:g} s")
        else:
            result = _read(task, self._memory_mib_max)
        self.stop()
        return result

    def stop(self) -> None:
        """Kill the running job, if any, and discard its result; a thread ends by itself."""
        if self._task is not None:
            self._task.kill()
            self._task.close()
        self._task = self._unstarted = self._solver = None


class WorkerTask(Generic[J]):
    """A job with its process; standard input, output and error are unnamed files in memory."""

    def __init__(self, job: J, command: Sequence[str], seconds_max: float) -> None:
        self.job = job
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        with ExitStack() as undo, _memory_file() as given:
            self.output, self.errors = (undo.enter_context(_memory_file()) for _ in range(2))
            given.write(pack_data(job))
            given.seek(0)
            # A new process group, so that Ctrl-C in a terminal reaches the parent alone.  Not a new
            # session: with autogrouping (sched(7)), niceness counts only within a session.
            import subprocess

            self.process = subprocess.Popen(  # noqa: S603 - a constant, or a test's own command
                command,
                stdin=given,
                stdout=self.output,
                stderr=self.errors,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
                process_group=0,
            )
            undo.pop_all()
        self.deadline = time.monotonic() + seconds_max

    def failure(self, memory_mib_max: int) -> str:
        """Return the reason if an ended process failed, else ''."""
        status = self.process.returncode
        return _ending(status, _last_error(self.errors), memory_mib_max) if status else ""

    def answer(self, kind: type[T]) -> T:
        """Return the output of the process; raises ValueError if it is not of that type."""
        self.output.seek(0)
        return unpack_data(self.output.read(), kind)

    def kill(self) -> None:
        """Kill the process, if it still runs."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Free the memory of output and error."""
        self.output.close()
        self.errors.close()


def _memory_file() -> BinaryIO:
    return os.fdopen(os.memfd_create("auricle", os.MFD_CLOEXEC), "w+b")


def _read(task: WorkerTask[GrowthJob], memory_mib_max: int) -> GrowthResult:
    """Return the result of a process that has ended."""
    ended = task.failure(memory_mib_max)
    if ended:
        return _failure(task.job, ended)
    try:
        result = task.answer(GrowthResult)
    except ValueError as error:
        return _failure(task.job, f"its result cannot be read: {error}")
    wrong = _flaw(task.job, result)
    return _failure(task.job, wrong) if wrong else result


def _flaw(job: GrowthJob, result: GrowthResult) -> str:
    """Return the reason why a result must not serve, or ''."""
    record = result.record
    if (result.job_id, result.domain) != (job.id, job.domain):
        return "its result is for another job"
    if record is None:
        return ""
    if (record.domain, record.version) != (job.domain, job.version):
        return "its adaptor is for another domain or version"
    if not job.facts.issuperset(record.facts):
        return "its adaptor names facts that the job did not have"
    try:
        build_transform(record, job.spans)
    except EdgeError as error:
        return f"its adaptor cannot serve: {error.message}"
    if not all(np.isfinite(array).all() for array in record.arrays.values()):
        return "its adaptor contains NaN or infinity"
    return ""


def _ending(status: int, message: str, memory_mib_max: int) -> str:
    """Describe how a failed process ended.  status: `Popen.returncode`."""
    if status == -signal.SIGKILL:
        return "it was killed, by a user or because the machine ran out of memory"
    if status < 0:
        return f"it crashed: {signal.Signals(-status).name} {message}".rstrip()
    if "MemoryError" in message or "alloc" in message:
        return _too_much(memory_mib_max)
    return f"it ended with status {status} {message}".rstrip()


def _last_error(errors: BinaryIO) -> str:
    """Return the last line that a process wrote to standard error, shortened."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - ERROR_BYTES))
    lines = errors.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(c if c.isprintable() else "?" for c in last[:ERROR_CHARS])


def _too_much(memory_mib_max: int) -> str:
    return f"it needs more than {memory_mib_max} MiB of memory: growth.memory_mib_max"


def _failure(job: GrowthJob, reason: str) -> GrowthResult:
    return result_without_record(job, f"the worker failed: {reason}")


# --- in the worker's own process ------------------------------------------------------------------


def serve(grow: Runner, arguments: Sequence[str]) -> None:
    """Run one job within limits and write its result.  arguments: memory in MiB; seconds; process
    id of the parent."""
    with _apply_limits(arguments) as output:
        job = unpack_data(sys.stdin.buffer.read(), GrowthJob)
        output.write(pack_data(_outcome(grow, job, int(arguments[0]))))


def _apply_limits(arguments: Sequence[str]) -> BinaryIO:
    """Apply the limits; returns the file for the result."""
    _bind_to(int(arguments[2]))
    _limit(int(arguments[0]), float(arguments[1]))
    # Output that libraries print must not mix with the result.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def _outcome(grow: Runner, job: GrowthJob, memory_mib_max: int) -> GrowthResult:
    try:
        return grow(job)
    except MemoryError:
        return _failure(job, _too_much(memory_mib_max))
    except Exception as error:  # noqa: BLE001 - every error becomes the reason
        message = f"{type(error).__name__}: {error}".split("\n")[0][:ERROR_CHARS]
        return _failure(job, _too_much(memory_mib_max) if "alloc" in message else message)


def _bind_to(parent: int) -> None:
    """End with the parent; at once if it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _limit(memory_mib_max: int, seconds_max: float) -> None:
    """Run at low priority, limit memory and time, and make this process the kernel's first choice
    when the machine runs out of memory."""
    os.nice(NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    signal.setitimer(signal.ITIMER_REAL, seconds_max)
    size = memory_mib_max * MIB
    _bound(resource.RLIMIT_DATA, size)
    _bound(resource.RLIMIT_FSIZE, size)
    _bound(resource.RLIMIT_CORE, 0)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _bound(what: int, most: int) -> None:
    """Lower a resource limit; a lower one stays."""
    _, held = resource.getrlimit(what)
    least = most if held == resource.RLIM_INFINITY else min(most, held)
    resource.setrlimit(what, (least, least))


def _grow(job: GrowthJob) -> GrowthResult:
    try:
        from ..growth import grow_adaptor

        return grow_adaptor(job)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return result_without_record(job, missing_torch())


def _study(arguments: Sequence[str]) -> None:
    """Train a forecasting network within limits."""
    from ..core.forecasting import ForecasterTrainingJob, ForecasterTrainingResult

    with _apply_limits(arguments) as output:
        job = unpack_data(sys.stdin.buffer.read(), ForecasterTrainingJob)
        try:
            from ..growth import train_forecaster

            result = train_forecaster(job)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            result = ForecasterTrainingResult({}, missing_torch())
        output.write(pack_data(result))


if __name__ == "__main__":
    if sys.argv[1] == STUDY:
        _study(sys.argv[2:])
    else:
        serve(_grow, sys.argv[1:])
