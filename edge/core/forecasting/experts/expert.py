"""What an expert of a mixture sees and gives."""

from dataclasses import dataclass
from typing import Protocol

from ..delayed_targets import DelayedTargets
from ..forecaster import Floats, ForecastTask, State
from ..history import JumpCorrectedHistory
from .basis import RegressionBasis


@dataclass(slots=True)
class ExpertInput:
    """What all experts share at a step: history, columns of it, and what became of forecasts."""

    task: ForecastTask
    history: JumpCorrectedHistory
    basis: RegressionBasis
    truth: DelayedTargets


class Expert(Protocol):
    """Learns from the truths that are due, then forecasts.  Made with the View it will see."""

    voices: int
    """How many forecasts it gives."""

    def step(self, view: ExpertInput) -> Floats:
        """Return movements from the newest value, in units: float64 [voices, H, C], finite."""

    def state(self) -> State:
        """Return what it has learned."""

    def restore(self, state: State) -> None:
        """Go on from a state."""
