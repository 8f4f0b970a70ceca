from __future__ import annotations

import numpy as np
import pytest

from edge.core.errors import ConfigError, EdgeError
from edge.core.forecasting.experts.cells import CELLS
from edge.home import train_forecaster as studying
from edge.home.train_forecaster import train_on_recording
from edge.worker.worker import COMMAND

STEPS = 420


def recording(steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """A sawtooth, sampled every ten minutes, unlike the training data of the shipped network."""
    at = np.arange(steps)
    noise = np.random.default_rng(1).normal(0, 0.02, steps)
    return (20 + (at % 7) * 3.0 + noise)[:, None], np.full(steps, 600.0)


def test_a_network_of_ones_own_beats_the_shipped_one():
    """A network trained in another process forecasts the held-out part better, and serves."""
    pytest.importorskip("torch", reason="torch is not installed")
    beats: list[int] = []
    result = train_on_recording(*recording(), rounds=40, beat=lambda: beats.append(1))
    assert result.reason == "better", result
    assert sum(result.own) < 0.9 * sum(result.start)
    assert beats
    CELLS["cfc"](result.arrays, 1)


def test_a_recipe_reaches_the_process():
    """Another recipe trains another network from the same seed."""
    pytest.importorskip("torch", reason="torch is not installed")
    plain, other = (
        train_on_recording(*recording(), rounds=40, recipe=recipe)
        for recipe in ("plain", "warm-start")
    )
    assert plain.start == other.start
    assert plain.own != other.own


@pytest.mark.parametrize("steps", [0, 299])
def test_a_recording_that_is_too_short_is_refused(steps):
    """Too few samples are a ConfigError with the required number."""
    with pytest.raises(ConfigError, match="300 to 200,000 samples") as caught:
        train_on_recording(*recording(steps))
    assert caught.value.hint


def test_a_study_that_takes_too_long_is_ended():
    """At the time limit the process is killed, and the error has the reason."""
    with pytest.raises(EdgeError, match=r"longer than 0\.2 s"):
        train_on_recording(*recording(), seconds_max=0.2)


def test_a_failed_training_reports_the_reason(monkeypatch):
    """A process that ends without a result is an error with the last line of its standard error."""
    monkeypatch.setattr(studying, "COMMAND", (COMMAND[0], "-c", "raise SystemExit('no')"))
    with pytest.raises(EdgeError, match="status 1 no"):
        train_on_recording(*recording())
