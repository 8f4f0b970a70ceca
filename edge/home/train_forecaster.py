"""Training a network on a user's own recording, in a process of its own."""

import os
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError, EdgeError
from ..core.forecasting import (
    RECORDING_STEPS_MAX,
    RECORDING_STEPS_MIN,
    RECORDING_VALUES_MAX,
    ForecasterTrainingJob,
    ForecasterTrainingResult,
)
from ..storage import shipped_weights
from ..worker import COMMAND, STUDY, WorkerTask

MEMORY_MIB_MAX = 2_048
SECONDS_MAX = 900.0
ROUNDS = 400
BEAT_S = 0.1


def train_on_recording(
    values: NDArray[np.float64],
    elapsed_s: NDArray[np.float64],
    period: int | None = None,
    *,
    kind: str = "cfc",
    seed: int = 1,
    rounds: int = ROUNDS,
    beat: Callable[[], None] = lambda: None,
    seconds_max: float = SECONDS_MAX,
) -> ForecasterTrainingResult:
    """Train a network on a recording, from the shipped one on; wait for it.

    values: [steps, channels], NaN where missing; elapsed_s: [steps], seconds since the sample
    before.  beat: called now and then while it runs.  Raises ConfigError for a recording that is
    too short or too long, EdgeError where the process fails.  Cost: about 20 ms a round on a core
    that others may take first; up to MEMORY_MIB_MAX.
    """
    steps, channels = values.shape
    fits = (
        RECORDING_STEPS_MIN <= steps <= RECORDING_STEPS_MAX
        and 0 < steps * channels <= RECORDING_VALUES_MAX
    )
    if not fits:
        raise ConfigError(
            f"training on a recording: expected {RECORDING_STEPS_MIN:,} to"
            f" {RECORDING_STEPS_MAX:,} samples, at most {RECORDING_VALUES_MAX:,} values in all;"
            f" found {steps:,} samples of {channels}",
            "record longer, or give the newest part of it",
        )
    job = ForecasterTrainingJob(
        kind=kind,
        start=shipped_weights(kind),
        values=values,
        elapsed_s=elapsed_s,
        period=period or 0,
        seed=seed,
        rounds=rounds,
    )
    limits = map(str, (MEMORY_MIB_MAX, seconds_max, os.getpid()))
    task = WorkerTask(job, (*COMMAND, STUDY, *limits), seconds_max)
    try:
        while task.process.poll() is None and time.monotonic() < task.deadline:
            time.sleep(BEAT_S)
            beat()
        return _result(task, seconds_max)
    finally:
        task.kill()
        task.close()


def _result(
    task: WorkerTask[ForecasterTrainingJob], seconds_max: float
) -> ForecasterTrainingResult:
    if task.process.poll() is None:
        failure = f"it took longer than {seconds_max:g} s"
    else:
        failure = task.failure(MEMORY_MIB_MAX)
    if failure:
        raise EdgeError(f"training on a recording: {failure}", "give a shorter recording")
    try:
        return task.answer(ForecasterTrainingResult)
    except ValueError as error:
        raise EdgeError(f"training on a recording: its answer cannot be read: {error}") from error
