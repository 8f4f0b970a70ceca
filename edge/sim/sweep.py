"""Sweeps: seeds times variants, in parallel; each finished run is written to a file."""

import hashlib
import os
import signal
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec
import numpy as np

import encoder

from ..core import ConfigError
from ..extras import install_command
from .harness import Progress, run_scenario
from .ray_backend import run_on_ray
from .recording import RunRecording
from .replay import Encoded, FeatureCache, encode_timed, payload_key
from .samples import read_samples
from .scenarios import VECTOR, SampledScenario, Scenario, expand_variants
from .world import build_world

Backend = Literal["loky", "ray"]

CHUNK: Final = 64
"""Payloads per encoding task.  Chosen by hand."""

RUN_FORMAT: Final = 2
"""Part of each run file's name: raised when the meaning of a recording changes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Job:
    """A run.  path: the file of its recording, None if none is written."""

    name: str
    scenario: Scenario
    seed: int
    card: encoder.Card
    path: Path | None
    encoded: dict[bytes, Encoded] = field(default_factory=dict, repr=False)


def sweep_scenario(
    scenario: Scenario,
    seeds: Sequence[int],
    jobs: int = 1,
    out: Path | None = None,
    backend: Backend = "loky",
    progress: Progress | None = None,
) -> tuple[RunRecording, ...]:
    """Run every variant with every seed; recordings in the order of variants, then seeds.

    out: finished runs are written to its folder `runs`, and read from there when the same sweep
    runs again.  Metrics depend neither on jobs nor on backend.  Raises ConfigError, StateError, and
    BrokenPromiseError if a check fails.
    """
    require_backend(backend)
    planned = [
        _plan(name, variant, seed, out)
        for name, variant in expand_variants(scenario)
        for seed in seeds
    ]
    done = {at: found for at, job in enumerate(planned) if (found := _read_run(job))}
    waiting = [at for at in range(len(planned)) if at not in done]
    ready = [(at, _prepare(planned[at], jobs, progress)) for at in waiting]
    single = progress if len(waiting) == 1 else None
    for count, (at, recording) in enumerate(_run_all(ready, jobs, backend, single), 1):
        done[at] = recording
        _write_run(planned[at], recording)
        if progress is not None and single is None:
            progress("running", count, len(waiting))
    return tuple(done[at] for at in range(len(planned)))


def make_card(scenario: Scenario | SampledScenario) -> encoder.Card:
    """Return the card of a scenario's encoder; for vectors, with a quantiser fitted to all samples
    of the domain that is known first, before corruptions."""
    chosen = scenario.encoder
    if chosen.model != VECTOR:
        return _card_of(chosen.model)
    samples = read_samples(scenario.domains[scenario.first_domain], flat=True)
    rows = np.array([samples.read(row) for row in range(len(samples))])
    taps = dict(samples.taps)
    card = encoder.vector_card(rows.shape[1], taps=taps)
    frozen = encoder.freeze_quantiser(rows, card.slices, chosen.granularity)
    return replace(card, quantiser=frozen)


@lru_cache(maxsize=4)
def _card_of(model: str) -> encoder.Card:
    with encoder.open_model(model) as opened:
        return opened.card


@lru_cache(maxsize=1)
def _model_of(card: encoder.Card) -> encoder.Model:
    """Open a model once per process: opening takes longer than many encodings."""
    return encoder.open_model(card)


def _plan(name: str, scenario: Scenario, seed: int, out: Path | None) -> _Job:
    if not 0 <= seed < 2**32:
        raise ConfigError(
            f"simulating: a seed must be 0 to 4294967295, found {seed}", "choose another seed"
        )
    card = make_card(scenario)
    path = None
    if out is not None:
        content = msgspec.json.encode((RUN_FORMAT, card.fingerprint, scenario), order="sorted")
        digest = hashlib.sha256(content).hexdigest()[:12]
        path = out / "runs" / f"{digest}-seed{seed}.json"
    return _Job(name=name, scenario=scenario, seed=seed, card=card, path=path)


def _prepare(job: _Job, jobs: int, progress: Progress | None) -> _Job:
    """Encode the payloads of a run that are not cached.  Vectors need no encoding."""
    if job.card.file is None:
        return job
    payloads = {}
    for sample in build_world(job.scenario, job.seed).samples:
        payload = sample.read()
        payloads[payload_key(payload)] = payload
    cache = FeatureCache(job.card)
    encoded = cache.read(payloads)
    missing = [key for key in payloads if key not in encoded]
    chunks = [missing[at : at + CHUNK] for at in range(0, len(missing), CHUNK)]
    tasks = [(job.card, [payloads[key] for key in keys]) for keys in chunks]
    done = 0
    for at, rows in run_parallel(_encode_chunk, tasks, jobs):
        fresh = dict(zip(chunks[at], rows, strict=True))
        cache.write(fresh)
        encoded |= fresh
        done += len(fresh)
        if progress is not None:
            progress("encoding", done, len(missing))
    return replace(job, encoded=encoded)


def _encode_chunk(card: encoder.Card, payloads: list[Any]) -> list[Encoded]:
    model = _model_of(card)
    return [encode_timed(model, payload) for payload in payloads]


def _run_all(
    ready: list[tuple[int, _Job]], jobs: int, backend: Backend, progress: Progress | None
) -> Iterator[tuple[int, RunRecording]]:
    tasks = [(job, None) for _, job in ready]
    if progress is not None and backend == "loky":
        yield from ((at, _run(job, progress)) for at, job in ready)
        return
    for place, recording in run_parallel(_run, tasks, jobs, backend):
        yield ready[place][0], recording


def _run(job: _Job, progress: Progress | None) -> RunRecording:
    world = build_world(job.scenario, job.seed)
    recording = run_scenario(
        job.scenario, world, _model_of(job.card), job.seed, encoded=job.encoded, progress=progress
    )
    title = f"{recording.title}: {job.name}" if job.name else recording.title
    return replace(recording, title=title)


def run_parallel(
    work: Any, tasks: Sequence[tuple[Any, ...]], jobs: int, backend: Backend = "loky"
) -> Generator[tuple[int, Any], None, None]:
    """Yield (place, result) in order of completion; in this process for one job or task.  jobs: of
    this machine; on Ray every free core of the cluster takes a task."""
    if backend == "loky" and (jobs == 1 or len(tasks) <= 1):
        yield from ((place, work(*task)) for place, task in enumerate(tasks))
        return
    if backend == "ray":
        yield from run_on_ray(work, tasks)
        return
    from joblib import delayed

    calls = [delayed(_placed)(work, place, task) for place, task in enumerate(tasks)]
    with _cancelled_ids_ignored():
        yield from _results_of(calls, jobs)


def _results_of(calls: Sequence[Any], jobs: int) -> Iterator[tuple[int, Any]]:
    from joblib import Parallel

    results: Any = iter(())
    try:
        with _interrupts_blocked(), _end_deferred():
            results = Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)
        for one in results:  # noqa: UP028 - closing it below must warn nobody
            yield one
    finally:
        with warnings.catch_warnings():
            # Tasks that were cancelled: whoever stops here has asked for that.
            warnings.simplefilter("ignore", UserWarning)
            del results


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes that never see SIGINT.

    A terminal sends it to the whole group, and a worker would print a traceback of its own; this
    process ends them.  A mask is inherited from the first instruction on, by replacements too,
    since the threads that start those inherit it as well.  One that arrives meanwhile is raised at
    the end.
    """
    # joblib starts this tracker as well, whose start unblocks SIGINT whatever the mask was.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _end_deferred() -> Iterator[None]:
    """Handle a SIGTERM that arrives meanwhile at the end: processes that start while this one ends
    would print tracebacks.  It is not blocked, since processes that start would inherit that."""
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
    if arrived:
        before(arrived[0], None)


@contextmanager
def _cancelled_ids_ignored() -> Iterator[None]:
    """Ignore the KeyError of loky's manager thread at an early end.

    loky 3 (`flag_executor_shutting_down`) drops the pending tasks and kills the workers, then
    looks up the tasks whose ids are still queued.  The thread has nothing left to do by then.
    """
    before = threading.excepthook

    def report(args: threading.ExceptHookArgs) -> None:
        manager = args.thread is not None and args.thread.name == "ExecutorManagerThread"
        if not (manager and args.exc_type is KeyError):
            before(args)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = before


def _placed(work: Any, place: int, task: tuple[Any, ...]) -> tuple[int, Any]:
    return place, work(*task)


def require_backend(backend: str) -> None:
    """Raise ConfigError if a backend is not available, before any encoding."""
    if backend not in get_args(Backend):
        raise ConfigError(
            f"simulating: the backend must be loky or ray, found {backend!r}",
            "leave --backend out for this machine's processes",
        )
    if backend == "ray":
        try:
            import ray  # noqa: F401 - only whether it is there
        except ImportError as error:
            raise ConfigError(
                "simulating with the backend ray: ray is not installed",
                f"install the extra: {install_command('cluster')}",
            ) from error


def _read_run(job: _Job) -> RunRecording | None:
    """Return a finished run; None if its file is missing or damaged."""
    if job.path is None or not job.path.is_file():
        return None
    try:
        found = msgspec.json.decode(job.path.read_bytes(), type=RunRecording)
    except (msgspec.DecodeError, OSError):
        return None
    return replace(found, title=f"{job.scenario.title}: {job.name}" if job.name else found.title)


def _write_run(job: _Job, recording: RunRecording) -> None:
    if job.path is None:
        return
    job.path.parent.mkdir(parents=True, exist_ok=True)
    write_file(job.path, msgspec.json.encode(recording))


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically: a reader never sees a part of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
