"""Experts with a recurrent network that all channels share, read out by Huber least squares."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from ..history import INPUTS, SEASON_STEPS
from ..state_dict import load_state, nest_state, state_dict, unnest_state
from .cells import GRU, LTC, Arrays, Cell, CfC
from .cells import Floats as CellFloats
from .expert import ExpertInput
from .readout import HuberReadout

UNITS: Final = 20
"""Units of a network that was not trained."""


class LinearNetworkExpert:
    """The readout on the inputs of the networks, without a network."""

    voices = 1

    def __init__(
        self, view: ExpertInput, cell: Cell | None = None, start: Floats | None = None
    ) -> None:
        channels = view.task.channels
        self._cell = cell
        units = 0 if cell is None else cell.state.shape[1]
        self._features = np.ones((units + len(INPUTS) + 1, channels))
        self._inputs = self._features[units:-1].T
        self._states = self._features[:units].T
        if start is not None:
            held = np.zeros((len(start), len(self._features)))
            held[:, :units], held[:, -1] = start[:, :-1], start[:, -1]
            start = held
        self._readout = HuberReadout(channels, len(self._features), view.truth, start)

    def step(self, view: ExpertInput) -> Floats:
        """Step the network, learn and forecast."""
        history = view.history
        self._inputs[:] = history.inputs
        if self._cell is not None:
            self._states[:] = self._cell.step(history.inputs, history.clock.ratio)
        return self._readout.step(self._features, view.truth)[None]

    def state(self) -> State:
        """Return the network's state and the readout's."""
        cell = {} if self._cell is None else load_state(self._cell, ("state",))
        return {**nest_state("cell", cell), **nest_state("readout", self._readout.state())}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        if self._cell is not None:
            state_dict(self._cell, ("state",), unnest_state("cell", state))
        self._readout.restore(unnest_state("readout", state))


def make_network_pool(kind: str, view: ExpertInput) -> LinearNetworkExpert:
    """Make an expert with a cell of a kind: with the task's weights where they fit, else with
    random ones, a reservoir."""
    task = view.task
    arrays = task.weights if _fits(kind, task.weights) else None
    start = None
    if arrays is not None and tuple(task.horizons) == SEASON_STEPS and "readout.weight" in arrays:
        bias = arrays["readout.bias"][:, None]
        start = np.concatenate([arrays["readout.weight"], bias], 1).astype(np.float64)
    cell, reservoir = _KINDS[kind]
    made = arrays or reservoir(np.random.default_rng(task.seed))
    return LinearNetworkExpert(view, cell(made, task.channels), start)


def make_liquid_pool(view: ExpertInput) -> LinearNetworkExpert:
    """A closed-form continuous-time network."""
    return make_network_pool("cfc", view)


def make_gru_pool(view: ExpertInput) -> LinearNetworkExpert:
    """A gated recurrent network in the same pipeline."""
    return make_network_pool("gru", view)


def make_echo_pool(view: ExpertInput) -> LinearNetworkExpert:
    """An echo state network (Jaeger 2001): leaky, random, never trained."""
    return make_network_pool("echo", view)


class EchoStateExpert:
    """A leaky reservoir: h' = (h + tanh(x A + h B + c)) / 2."""

    def __init__(self, arrays: Arrays, channels: int = 1) -> None:
        self._inward, self._back, self._bias = (arrays[one] for one in ("inward", "back", "bias"))
        self.state: CellFloats = np.zeros((channels, len(self._back)))

    def step(self, inputs: CellFloats, elapsed: float = 1.0) -> CellFloats:
        """Take inputs [C, F]; time plays no part; returns the state [C, units] itself."""
        del elapsed
        drive = inputs @ self._inward + self.state @ self._back
        drive += self._bias
        self.state += np.tanh(drive, out=drive)
        self.state *= 0.5
        return self.state


def make_ltc_pool(view: ExpertInput) -> LinearNetworkExpert:
    """A liquid time-constant network with its ODE unfolds, random: the slow reference."""
    return make_network_pool("ltc", view)


def _fits(kind: str, weights: State | None) -> bool:
    return weights is not None and {"cfc": "ff1.weight", "gru": "weight_ih"}.get(kind) in weights


def _cfc(rng: np.random.Generator) -> Arrays:
    wide = len(INPUTS) + UNITS
    spread = np.r_[np.full(len(INPUTS), 0.5), np.full(UNITS, 0.9)] / np.sqrt(UNITS)
    made: dict[str, Floats] = {}
    for name in ("ff1", "ff2", "time_a", "time_b"):
        made[f"{name}.weight"] = rng.normal(size=(UNITS, wide)) * spread
        made[f"{name}.bias"] = rng.normal(size=UNITS) * 0.3
    return made


def _gru(rng: np.random.Generator) -> Arrays:
    return {
        "weight_ih": rng.normal(size=(3 * UNITS, len(INPUTS))) * 0.5 / np.sqrt(UNITS),
        "weight_hh": rng.normal(size=(3 * UNITS, UNITS)) * 0.9 / np.sqrt(UNITS),
        "bias_ih": rng.normal(size=3 * UNITS) * 0.3,
        "bias_hh": np.zeros(3 * UNITS),
    }


def _echo(rng: np.random.Generator) -> Arrays:
    return {
        "inward": rng.normal(size=(len(INPUTS), UNITS)) * 0.3,
        "back": rng.normal(size=(UNITS, UNITS)) * 0.9 / np.sqrt(UNITS),
        "bias": rng.normal(size=UNITS) * 0.2,
    }


def _ltc(rng: np.random.Generator) -> Arrays:
    made: dict[str, Floats] = {}
    for prefix, sources in (("sensory_", len(INPUTS)), ("", UNITS)):
        shape = (sources, UNITS)
        made[f"{prefix}sigma"] = rng.uniform(3.0, 8.0, shape)
        made[f"{prefix}mu"] = rng.uniform(0.3, 0.8, shape)
        made[f"{prefix}w"] = rng.uniform(0.01, 1.0, shape)
        made[f"{prefix}erev"] = rng.choice(np.array([-1.0, 1.0]), shape)
        made[f"{prefix}sparsity_mask"] = np.ones(shape)
    return made | {
        "gleak": rng.uniform(0.01, 1.0, UNITS),
        "vleak": rng.uniform(-0.2, 0.2, UNITS),
        "cm": rng.uniform(0.4, 0.6, UNITS),
        "input_w": np.ones(len(INPUTS)),
        "input_b": np.zeros(len(INPUTS)),
        "output_w": np.ones(UNITS),
        "output_b": np.zeros(UNITS),
    }


_KINDS: Final = {
    "cfc": (CfC, _cfc),
    "gru": (GRU, _gru),
    "echo": (EchoStateExpert, _echo),
    "ltc": (LTC, _ltc),
}
