"""Online forecasting of time series: each step takes a sample, learns from it, and forecasts.

`FORECASTERS["pool"](ForecastTask(channels=30))` makes the default.  To add a kind: one file with
one class, and one line in `kinds.FORECASTERS`.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .experts.cells import CELLS, Cell, CfC, Floats
    from .forecaster import HORIZONS, Forecast, Forecaster, ForecastTask, State
    from .history import INPUTS, SEASON_STEPS, JumpCorrectedHistory
    from .kinds import FORECASTERS
    from .replay_buffer import BufferPart, ReplayBuffer, WaitingSamples
    from .sample_block import LostSamples, SampleBlock
    from .series import ErasedSeries, SeriesSnapshot, SeriesTracker
    from .training_job import (
        RECORDING_STEPS_MAX,
        RECORDING_STEPS_MIN,
        RECORDING_VALUES_MAX,
        ForecasterTrainingJob,
        ForecasterTrainingResult,
    )
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "experts.cells": ("CELLS", "Cell", "CfC", "Floats"),
            "forecaster": ("Forecast", "ForecastTask", "Forecaster", "HORIZONS", "State"),
            "history": ("INPUTS", "JumpCorrectedHistory", "SEASON_STEPS"),
            "kinds": ("FORECASTERS",),
            "replay_buffer": ("BufferPart", "ReplayBuffer", "WaitingSamples"),
            "sample_block": ("LostSamples", "SampleBlock"),
            "series": ("ErasedSeries", "SeriesSnapshot", "SeriesTracker"),
            "training_job": (
                "ForecasterTrainingJob",
                "ForecasterTrainingResult",
                "RECORDING_STEPS_MAX",
                "RECORDING_STEPS_MIN",
                "RECORDING_VALUES_MAX",
            ),
        },
    )

__all__ = [
    "CELLS",
    "FORECASTERS",
    "HORIZONS",
    "INPUTS",
    "RECORDING_STEPS_MAX",
    "RECORDING_STEPS_MIN",
    "RECORDING_VALUES_MAX",
    "SEASON_STEPS",
    "BufferPart",
    "Cell",
    "CfC",
    "ErasedSeries",
    "Floats",
    "Forecast",
    "ForecastTask",
    "Forecaster",
    "ForecasterTrainingJob",
    "ForecasterTrainingResult",
    "JumpCorrectedHistory",
    "LostSamples",
    "ReplayBuffer",
    "SampleBlock",
    "SeriesSnapshot",
    "SeriesTracker",
    "State",
    "WaitingSamples",
]
