"""Training a forecasting network on a user's recording, in a separate process."""

import os
import time
from collections.abc import Callable
from typing import Final

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

MEMORY_MIB_MAX: Final = 2_048
"""Memory of the process, in MiB: torch with the longest recording fits.  Chosen by hand; effect not
measured."""

SECONDS_MAX: Final = 900.0
"""Longest training.  Chosen by hand; effect not measured."""

KIND: Final = "cfc"
"""Kind of network that is trained."""

ROUNDS: Final = 400
"""Training rounds: about 8 s at 20 ms each.  Chosen by hand; effect not measured."""

BEAT_S: Final = 0.1
"""Seconds between calls of `beat`.  Chosen by hand; effect not measured."""


def train_on_recording(
    values: NDArray[np.float64],
    elapsed_s: NDArray[np.float64],
    period: int | None = None,
    *,
    seed: int = 1,
    rounds: int = ROUNDS,
    recipe: str = "plain",
    beat: Callable[[], None] = lambda: None,
    seconds_max: float = SECONDS_MAX,
) -> ForecasterTrainingResult:
    """Train a network on a recording, starting from the shipped weights; waits for the result.

    values: float64 [steps, channels], NaN where missing.  elapsed_s: float64 [steps], seconds since
    the previous sample.  recipe: a name of `edge.growth`'s NETWORK_RECIPES.  beat: called regularly
    meanwhile.  Raises ConfigError for a recording that is too short or too long, EdgeError if the
    process fails.  Cost: about 20 ms per round at low priority; up to MEMORY_MIB_MAX of memory.
    """
    steps, channels = values.shape
    fits = (
        RECORDING_STEPS_MIN <= steps <= RECORDING_STEPS_MAX
        and 0 < steps * channels <= RECORDING_VALUES_MAX
    )
    if not fits:
        raise ConfigError(
            f"training on a recording: expected {RECORDING_STEPS_MIN:,} to {RECORDING_STEPS_MAX:,}"
            f" samples, at most {RECORDING_VALUES_MAX:,} values in all; found {steps:,} samples of"
            f" {channels}",
            "give a longer recording, or only its newest part",
        )
    job = ForecasterTrainingJob(
        kind=KIND,
        start=shipped_weights(KIND),
        values=values,
        elapsed_s=elapsed_s,
        period=period or 0,
        seed=seed,
        rounds=rounds,
        recipe=recipe,
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
        raise EdgeError(f"training on a recording: its result cannot be read: {error}") from error
