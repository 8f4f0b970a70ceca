"""Workers that answer, hang, crash or lie: `python -m tests.workers KIND MEMORY SECONDS PARENT`."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

import encoder
import nas
from edge.core.adaptors.head import transform_shapes
from edge.core.adaptors.record import AdaptorRecord
from edge.core.facts import untimed_batch
from edge.core.jobs import GrowthJob, GrowthResult
from edge.worker.worker import Worker, serve

MIB = 1 << 20
ROOTS = (Path(__file__).parents[1], Path(encoder.__file__).parents[1])


def worker(kind: str, memory_mib_max: int = 512, seconds_max: float = 20.0) -> Worker:
    """A worker of a kind; this folder must be importable there."""
    return Worker(memory_mib_max, seconds_max, (sys.executable, "-m", "tests.workers", kind))


def a_job(count: int = 12, domain: str = "home", version: int = 1, width: int = 8) -> GrowthJob:
    """A job of random facts with two labels."""
    rows = np.random.default_rng(count).integers(0, 256, (count, width), np.uint8)
    ids = tuple(f"f{number:05}" for number in range(count))
    labels = tuple("ab"[number % 2] for number in range(count))
    own = untimed_batch(ids, (domain,) * count, labels, rows)
    none = untimed_batch((), (), (), rows[:0])
    spans = ((0, width),)
    budget = nas.AdaptorBudget(1 << 20, 1_000_000, 1.0)
    return GrowthJob(
        id=f"{domain}:{version}",
        domain=domain,
        version=version,
        seed=7,
        budget=budget,
        spans=spans,
        own=own,
        others=none,
    )


def a_record(
    domain: str = "home", version: int = 1, facts: tuple[str, ...] = ("a", "b"), seed: int = 3
) -> AdaptorRecord:
    """A record with two seeded arrays, one of them not contiguous."""
    random = np.random.default_rng(seed)
    arrays = {
        "inner": random.standard_normal((4, 6)).astype(np.float32).T,
        "scale": random.integers(0, 9, 5, np.uint8),
    }
    blueprint = nas.Blueprint(kind="lowrank", taps=(0, 1), rank=4, activation="relu")
    return AdaptorRecord(
        domain=domain,
        version=version,
        blueprint=blueprint,
        arrays=arrays,
        facts=facts,
        own=len(facts),
        seed=seed,
        accuracy=0.9,
        incumbent=0.8,
    )


def wait(worker: Worker, seconds: float = 30.0) -> GrowthResult:
    """The result of a running job, which must come in time."""
    until = time.monotonic() + seconds
    while (result := worker.poll()) is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    return result


def gone(process_id: int, seconds: float = 10.0) -> bool:
    """Whether a process ends in time; one that waits to be reaped has ended."""
    until = time.monotonic() + seconds
    stat = Path(f"/proc/{process_id}/stat")
    while stat.exists() and stat.read_text("ascii").rpartition(")")[2].split()[0] != "Z":
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def grown(job: GrowthJob) -> GrowthResult:
    """A record of all facts, with arrays that follow from the job's seed."""
    blueprint = nas.Blueprint(kind="linear", taps=(0,), width=4)
    random = np.random.default_rng(job.seed)
    arrays = {
        name: random.random(shape).astype(np.float32)
        for name, shape in transform_shapes(blueprint, job.spans).items()
    }
    facts = tuple(sorted({*job.own.ids, *job.others.ids}))
    record = AdaptorRecord(
        domain=job.domain,
        version=job.version,
        blueprint=blueprint,
        arrays=arrays,
        facts=facts,
        own=len(job.own),
        seed=job.seed,
        accuracy=0.9,
        incumbent=0.7,
    )
    tried = ((blueprint, 0.9, 0.9), (nas.Blueprint(kind="none", taps=(0,)), 0.7, 0.7))
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=record,
        reason="better",
        accuracy=0.9,
        incumbent=0.7,
        search=("a stage",),
        candidates=tried,
    )


def bent(job: GrowthJob) -> GrowthResult:
    """As `grown`, but the arrays have other shapes than the blueprint says."""
    return _changed(job, lambda array: array[..., :-1])


def broken(job: GrowthJob) -> GrowthResult:
    """As `grown`, but training has gone wrong: a number is not a number."""
    return _changed(job, lambda array: array * np.float32("nan"))


def _changed(job: GrowthJob, change: Callable[[NDArray[Any]], NDArray[Any]]) -> GrowthResult:
    result = grown(job)
    assert result.record is not None
    arrays = {name: change(array) for name, array in result.record.arrays.items()}
    return replace(result, record=replace(result.record, arrays=arrays))


def refused(job: GrowthJob) -> GrowthResult:
    """Finds nothing better."""
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=None,
        reason="nothing is better",
        accuracy=0.7,
        incumbent=0.7,
    )


def slow(job: GrowthJob) -> GrowthResult:
    """As `grown`, after half a second."""
    time.sleep(0.5)
    return grown(job)


def talking(job: GrowthJob) -> GrowthResult:
    """As `grown`, but libraries print meanwhile."""
    os.write(1, b"Downloading everything ...\n")
    os.write(2, b"UserWarning: beware\n")
    return grown(job)


def hanging(_job: GrowthJob) -> GrowthResult:
    """Never answers, and is deaf to everything that can be ignored."""
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    while True:
        time.sleep(1)


def hungry(_job: GrowthJob) -> GrowthResult:
    """Takes memory until there is none."""
    taken = []
    while True:
        taken.append(np.ones(MIB, np.uint8))


def failing(_job: GrowthJob) -> GrowthResult:
    """Raises."""
    raise RuntimeError("the loss is NaN\nand more")


def crashing(_job: GrowthJob) -> GrowthResult:
    """Ends as a program does that reads memory which is not its own."""
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
    return hanging(_job)


def leaving(_job: GrowthJob) -> GrowthResult:
    """Ends without a word of its own, as a C library may."""
    os.write(2, b"libx: \x1b[31mcannot go on\n")
    os._exit(3)


def lying(job: GrowthJob) -> GrowthResult:
    """Answers about facts that it was not given."""
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=a_record(job.domain, job.version),
        reason="",
        accuracy=1.0,
        incumbent=0.0,
    )


def straying(_job: GrowthJob) -> GrowthResult:
    """Answers about another job."""
    return GrowthResult(
        job_id="other",
        domain="other",
        record=None,
        reason="",
        accuracy=math.nan,
        incumbent=math.nan,
    )


def reporting(job: GrowthJob) -> GrowthResult:
    """Says under which limits it runs."""
    import resource

    output = (
        f"nice {os.nice(0)}",
        f"threads {os.environ['OMP_NUM_THREADS']}",
        f"data {resource.getrlimit(resource.RLIMIT_DATA)[0] // MIB}",
        f"core {resource.getrlimit(resource.RLIMIT_CORE)[0]}",
        f"torch {'torch' in sys.modules}",
        f"batch {os.sched_getscheduler(0) == os.SCHED_BATCH}",
    )
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=None,
        reason="limits",
        accuracy=math.nan,
        incumbent=math.nan,
        search=output,
    )


KINDS = {
    one.__name__: one
    for one in (
        grown,
        bent,
        broken,
        refused,
        slow,
        talking,
        hanging,
        hungry,
        failing,
        crashing,
        leaving,
        lying,
        straying,
        reporting,
    )
}


def main(kind: str, *arguments: str) -> None:
    """Run a worker of a kind; `garbage` and `nothing` do not even follow the protocol."""
    if kind == "garbage":
        os.write(1, np.random.default_rng(int(arguments[0])).bytes(999))
    elif kind == "early":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind != "nothing":
        serve(KINDS[kind], arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
