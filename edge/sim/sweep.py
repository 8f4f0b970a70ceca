"""Many runs: seeds times variants, in parallel, each kept in a file as it ends."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

import encoder

from ..core import ConfigError
from .harness import Progress, run_scenario
from .recording import Recording
from .replay import Encoded, FeatureCache, encode_timed, payload_key
from .scenarios import Scenario, expand_variants
from .world import Teach, World, build_world

Backend = Literal["loky", "ray"]

CHUNK: Final = 64
"""Payloads a worker encodes at a time."""

RUN_FORMAT: Final = 1
"""Part of each run file's name: raised when recordings change their meaning."""


@dataclass(frozen=True, slots=True)
class _Job:
    title: str
    scenario: Scenario
    seed: int
    path: Path | None


def sweep_scenario(
    scenario: Scenario, seeds: Sequence[int], jobs: int, out: Path | None, backend: Backend,
    progress: Progress | None,
) -> tuple[Recording, ...]:
    """Run every variant with every seed; in the order of variants, then seeds.

    out: finished runs are kept in its folder `runs` and read from there when the same sweep is
    run again.  Metrics depend neither on jobs nor on backend.
    """
    planned = [_plan(name, variant, seed, out) for name, variant in expand_variants(scenario)
               for seed in seeds]
    done = {job: found for job in planned if (found := _read_run(job)) is not None}
    waiting = [job for job in planned if job not in done]
    say = progress or (lambda what, at, total: None)
    if waiting:
        prepared = [_prepare(job, jobs, backend, say) for job in waiting]
        watch = progress if len(waiting) == 1 else None
        tasks = [(_run, (*one, watch)) for one in prepared]
        for at, (place, recording) in enumerate(_spread(tasks, jobs, backend)):
            done[waiting[place]] = recording
            _write_run(waiting[place], recording)
            say("running", at + 1, len(waiting))
    return tuple(done[job] for job in planned)
