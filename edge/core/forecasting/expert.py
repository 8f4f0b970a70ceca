"""What an expert of a mixture sees and gives."""

from dataclasses import dataclass
from typing import Protocol

from .basis import Basis
from .forecaster import Floats, State, Task
from .history import History
from .truth import Truth


@dataclass(slots=True)
class View:
    """What all experts share at a step: history, columns of it, and what became of forecasts."""

    task: Task
    history: History
    basis: Basis
    truth: Truth


class Expert(Protocol):
    """Learns from the truths that are due, then forecasts.  Made with the View it will see."""

    voices: int
    """How many forecasts it gives."""

    def step(self, view: View) -> Floats:
        """Return movements from the newest value, in units: float64 [voices, H, C], finite."""

    def state(self) -> State:
        """Return what it has learned."""

    def restore(self, state: State) -> None:
        """Go on from a state."""
