"""The worker: one process a job, which alone searches and trains, and the handle that runs it.

`python -m edge.worker.worker MEMORY_MIB SECONDS PARENT` reads a job from standard input and writes
its result to standard output.  Both are files in memory: nothing that it is given touches a disk,
and the process that serves never waits for a pipe.
"""

import ctypes
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final, Generic, TypeVar

import numpy as np

from ..core import EdgeError, GrowthJob, GrowthResult
from ..core.adaptors import build_transform
from ..storage import pack_data, unpack_data

MIB: Final = 1 << 20
NICENESS: Final = 10
"""A tenth of a core that others keep busy: little to whoever serves, and the job still ends."""
ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = (sys.executable, "-P", "-m", "edge.worker.worker")
ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
NO_TORCH: Final = "torch is not installed: `pip install 'auricle[grow]'`; the head alone serves"
STUDY: Final = "study"
"""The word before the limits where the job is a `ForecasterTrainingJob`."""
PR_SET_PDEATHSIG: Final = 1
LAST_WORDS_BYTES: Final = 2_000
LAST_WORDS_CHARS: Final = 200

Runner = Callable[[GrowthJob], GrowthResult]
J = TypeVar("J")
T = TypeVar("T")


class Worker:
    """Runs one job at a time in a process that may crash, hang or be killed without harm.

    memory_mib_max: of the process's private data (RLIMIT_DATA).  seconds_max: from start to result.
    command: what to run, three arguments will be added.  The process dies with the thread that
    called `start`.
    """

    def __init__(
        self, memory_mib_max: int, seconds_max: float, command: Sequence[str] = COMMAND
    ) -> None:
        self._memory_mib_max = memory_mib_max
        self._seconds_max = seconds_max
        self._command = command
        self._task: WorkerTask[GrowthJob] | None = None
        self._stillborn: GrowthResult | None = None
        self._obstacle: str | None = None

    @property
    def obstacle(self) -> str:
        """Why no job can be done here, or nothing.  Cost: a search for torch, once."""
        if self._obstacle is None:
            missing = self._command == COMMAND and find_spec("torch") is None
            self._obstacle = NO_TORCH if missing else ""
        return self._obstacle

    @property
    def job(self) -> GrowthJob | None:
        """The job that runs or whose result waits to be polled."""
        return self._task.job if self._task else None

    @property
    def process_id(self) -> int | None:
        """The worker's process id while a job runs."""
        return self._task.process.pid if self._task else None

    def start(self, job: GrowthJob) -> None:
        """Start a job; no other may be running.  Where no process can be made, the result says so.

        Cost: a copy of the job's features for a moment, and starting a process.
        """
        assert self._task is None, "one job at a time"
        limits = (self._memory_mib_max, self._seconds_max, os.getpid())
        try:
            self._task = WorkerTask(job, [*self._command, *map(str, limits)], self._seconds_max)
        except OSError as error:
            self._stillborn = _failure(job, f"no process could be started: {error.strerror}")

    def poll(self) -> GrowthResult | None:
        """Return the result when there is one, once; None while the job runs, or without a job.

        Never waits and never raises: whatever goes wrong in the worker is the result's reason.
        """
        task = self._task
        if task is None:
            stillborn, self._stillborn = self._stillborn, None
            return stillborn
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
        """Kill the running job, if any, and drop what it holds."""
        if self._task is not None:
            self._task.kill()
            self._task.close()
        self._task = self._stillborn = None


class WorkerTask(Generic[J]):
    """A job with its process: input, output and last words are unnamed files in memory."""

    def __init__(self, job: J, command: Sequence[str], seconds_max: float) -> None:
        self.job = job
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        with ExitStack() as undo, _memory_file() as given:
            self.output, self.errors = (undo.enter_context(_memory_file()) for _ in range(2))
            given.write(pack_data(job))
            given.seek(0)
            # A group of its own, so that Ctrl-C in a terminal reaches the parent alone; no session
            # of its own: niceness counts only inside one where the kernel groups by session.
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
        """Say why a process that has ended gave no answer; empty where it ended well."""
        status = self.process.returncode
        return _ending(status, _last_words(self.errors), memory_mib_max) if status else ""

    def answer(self, kind: type[T]) -> T:
        """Return what the process answered; raises ValueError where that is no such thing."""
        self.output.seek(0)
        return unpack_data(self.output.read(), kind)

    def kill(self) -> None:
        """End the process, if it has not ended."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Give the memory of output and last words back."""
        self.output.close()
        self.errors.close()


def _memory_file() -> BinaryIO:
    return os.fdopen(os.memfd_create("auricle", os.MFD_CLOEXEC), "w+b")


def _read(task: WorkerTask[GrowthJob], memory_mib_max: int) -> GrowthResult:
    """Make the result of a process that has ended."""
    ended = task.failure(memory_mib_max)
    if ended:
        return _failure(task.job, ended)
    try:
        result = task.answer(GrowthResult)
    except ValueError as error:
        return _failure(task.job, f"its answer cannot be read: {error}")
    wrong = _flaw(task.job, result)
    return _failure(task.job, wrong) if wrong else result


def _flaw(job: GrowthJob, result: GrowthResult) -> str:
    """Say why a result cannot be trusted, or nothing: whatever serves is checked before it does."""
    record = result.record
    if (result.job_id, result.domain) != (job.id, job.domain):
        return "its answer is about another job"
    if record is None:
        return ""
    if (record.domain, record.version) != (job.domain, job.version):
        return "its adaptor is that of another domain or version"
    if not job.facts.issuperset(record.facts):
        return "its adaptor is made of facts that it was not given"
    try:
        build_transform(record, job.spans)
    except EdgeError as error:
        return f"its adaptor cannot serve: {error.message}"
    if not all(np.isfinite(array).all() for array in record.arrays.values()):
        return "its adaptor holds numbers that are none (NaN or infinity)"
    return ""


def _ending(status: int, words: str, memory_mib_max: int) -> str:
    """Say how a process ended that gave no answer.  status: as subprocess tells it."""
    if status == -signal.SIGKILL:
        return "it was killed, by somebody or because the machine ran out of memory"
    if status < 0:
        return f"it crashed: {signal.Signals(-status).name} {words}".rstrip()
    if "MemoryError" in words or "alloc" in words:
        return _too_much(memory_mib_max)
    return f"it ended with status {status} {words}".rstrip()


def _last_words(errors: BinaryIO) -> str:
    """Return the last line that a process wrote to standard error, cut to what can be sent."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - LAST_WORDS_BYTES))
    lines = errors.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return (
        "".join(c if c.isprintable() else "?" for c in said[-1][:LAST_WORDS_CHARS]) if said else ""
    )


def _too_much(memory_mib_max: int) -> str:
    return f"it needs more than {memory_mib_max} MiB of memory: growth.memory_mib_max"


def _failure(job: GrowthJob, reason: str) -> GrowthResult:
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=None,
        reason=f"the worker failed: {reason}",
        accuracy=math.nan,
        incumbent=math.nan,
    )


# --- in the worker's own process ------------------------------------------------------------------


def serve(grow: Runner, arguments: Sequence[str]) -> None:
    """Do one job within the limits given and write its result.  arguments: memory, in MiB; seconds;
    the parent's process id."""
    with _within(arguments) as answer:
        job = unpack_data(sys.stdin.buffer.read(), GrowthJob)
        answer.write(pack_data(_outcome(grow, job, int(arguments[0]))))


def _within(arguments: Sequence[str]) -> BinaryIO:
    """Take the limits on; returns where the answer goes."""
    _bind_to(int(arguments[2]))
    _limit(int(arguments[0]), float(arguments[1]))
    # What libraries print must not end up in the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answer


def _outcome(grow: Runner, job: GrowthJob, memory_mib_max: int) -> GrowthResult:
    try:
        return grow(job)
    except MemoryError:
        return _failure(job, _too_much(memory_mib_max))
    except Exception as error:  # noqa: BLE001 - it is the reason, whatever it is
        said = f"{type(error).__name__}: {error}".split("\n")[0][:LAST_WORDS_CHARS]
        return _failure(job, _too_much(memory_mib_max) if "alloc" in said else said)


def _bind_to(parent: int) -> None:
    """End with the parent; if it has ended already, at once."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _limit(memory_mib_max: int, seconds_max: float) -> None:
    """Give way to whoever serves; take no more memory and time than allowed; if memory runs out in
    the whole machine, be the first to go."""
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
    """Lower a limit; one that is lower already stays."""
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
        return GrowthResult(
            job_id=job.id,
            domain=job.domain,
            record=None,
            reason=NO_TORCH,
            accuracy=math.nan,
            incumbent=math.nan,
        )


def _study(arguments: Sequence[str]) -> None:
    """Train a stream's own network within the limits given."""
    from ..core.forecasting import ForecasterTrainingJob, ForecasterTrainingResult

    with _within(arguments) as answer:
        job = unpack_data(sys.stdin.buffer.read(), ForecasterTrainingJob)
        try:
            from ..growth import train_forecaster

            result = train_forecaster(job)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            result = ForecasterTrainingResult({}, NO_TORCH)
        answer.write(pack_data(result))


if __name__ == "__main__":
    if sys.argv[1] == STUDY:
        _study(sys.argv[2:])
    else:
        serve(_grow, sys.argv[1:])
