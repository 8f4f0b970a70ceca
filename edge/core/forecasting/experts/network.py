"""Experts with a recurrent network that all channels share, and an online linear readout."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from ..history import INPUTS, SEASON_STEPS
from ..state_dict import load_state, nest_state, state_dict, unnest_state
from .cells import GRU, LTC, Arrays, Cell, CfC
from .cells import Floats as CellFloats
from .expert import DelayedTargets, ExpertInput, huber_influence

UNITS: Final = 20
"""Units of a random network: as many as the shipped liquid network has."""

# Forgetting factor per sample: that of the regressions, about 1,000 samples.
_FORGET: Final = 0.999
# Huber's bound in mean absolute errors, as in the study behind docs/decisions/0010.
_BOUND = 4.0
# Rate of the mean absolute errors, about 100 samples, as in the regressions.
_SCALE_RATE = 0.01
# Multiple of the mean absolute error beyond which a spike no longer raises it, as in the
# regressions.
_SPIKE = 10.0
# Penalty on the Gram matrix at each solve: it keeps collinear features solvable.  Chosen by hand;
# effect not measured.
_RIDGE: Final = 1e-3
# Updates between solves, which cost F^3.  Chosen by hand; effect not measured.
_SOLVE_STEPS: Final = 4
_CHANNELS_PER_STRIDE: Final = 8
"""Channels whose errors are enough to learn from every second sample only, and so on up to every
fourth.  Chosen by hand; effect not measured."""
_READOUT_STATE: Final = ("weights", "features", "gram", "moment", "scales", "steps")


class HuberReadout:
    """A linear readout of features, learned by all channels together.

    Huber least squares with forgetting on one Gram matrix, solved every few steps.  weights:
    float64 [H, F], for targets in units of sqrt(h) scales; start: initial weights, or None for
    zeros.  The Gram matrix includes features whose targets are pending; these count as forecast
    correctly, so that weights move by Gram^-1 sum(features * error).  Cost: O(F^2 C + H F C) a
    step, and F^3 every fourth.
    """

    def __init__(
        self, channels: int, width: int, targets: DelayedTargets, start: Floats | None
    ) -> None:
        horizons = len(targets.horizons)
        self.weights = np.zeros((horizons, width)) if start is None else start.copy()
        self.features = np.zeros((targets.size, width, channels))
        self.gram = np.eye(width)
        self.moment = np.zeros((width, horizons))
        self.scales = np.ones((horizons, 1))
        self.steps = 0
        self._roots = np.tile(np.sqrt(targets.horizons)[:, None], channels)
        self._share = 1.0 / channels
        self._stride = min(1 + channels // _CHANNELS_PER_STRIDE, 4)
        self._forget = _FORGET**self._stride

    def step(self, features: Floats, targets: DelayedTargets) -> Floats:
        """Learn from the targets; return forecasts [H, C] for features [F, C], in scales."""
        self.steps += 1
        if self.steps % self._stride == 0:
            self._learn(targets)
            self.gram *= self._forget
            self.gram += (features @ features.T) * self._share
            if self.steps % (_SOLVE_STEPS * self._stride) == 0:
                self._solve()
        self.features[targets.row] = features
        forecasts: Floats = self.weights @ features
        forecasts *= self._roots
        return forecasts

    def _learn(self, targets: DelayedTargets) -> None:
        past = self.features.take(targets.origin_rows, 0)
        errors = targets.values / self._roots
        errors -= (self.weights[:, None] @ past)[:, 0]
        all_valid = targets.all_valid
        if not all_valid:
            errors *= targets.valid
        size = np.add.reduce(np.minimum(np.abs(errors), _SPIKE * self.scales), 1, keepdims=True)
        count = (
            errors.shape[1] if all_valid else np.add.reduce(targets.valid, axis=1, keepdims=True)
        )
        mean = size / (count if all_valid else np.maximum(count, 1))
        self.scales += _SCALE_RATE * (mean - self.scales) * (1.0 if all_valid else count > 0)
        errors = huber_influence(errors, _BOUND * self.scales)
        errors *= self._share
        self.moment += np.matvec(past, errors).T

    def _solve(self) -> None:
        gram = self.gram.copy()
        gram.flat[:: len(gram) + 1] += _RIDGE
        self.weights += np.linalg.solve(gram, self.moment).T
        self.moment[:] = 0.0

    def state(self) -> State:
        """Return weights, sums, and the features whose targets are pending."""
        return state_dict(self, _READOUT_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _READOUT_STATE, state)


class NetworkExpert:
    """A readout of the history's inputs and of the state of a network, where there is one.

    cell: the network, or None for the inputs alone.  start: initial weights of the readout for the
    network's state and bias, [H, units + 1].
    """

    outputs = 1

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
            padded = np.zeros((len(start), len(self._features)))
            padded[:, :units], padded[:, -1] = start[:, :-1], start[:, -1]
            start = padded
        self._readout = HuberReadout(channels, len(self._features), view.targets, start)

    def step(self, view: ExpertInput) -> Floats:
        """Step the network, learn and forecast."""
        history = view.history
        self._inputs[:] = history.inputs
        if self._cell is not None:
            self._states[:] = self._cell.step(history.inputs, history.clock.ratio)
        return self._readout.step(self._features, view.targets)[None]

    def state(self) -> State:
        """Return the state of the network and of the readout."""
        cell = {} if self._cell is None else state_dict(self._cell, ("state",))
        return {**nest_state("cell", cell), **nest_state("readout", self._readout.state())}

    def restore(self, state: State) -> None:
        """Continue from a state."""
        if self._cell is not None:
            load_state(self._cell, ("state",), unnest_state("cell", state))
        self._readout.restore(unnest_state("readout", state))


def make_network_expert(kind: str, view: ExpertInput) -> NetworkExpert:
    """Make an expert with a cell of a kind: with the task's weights where they fit the kind, else
    with random ones, a reservoir."""
    task = view.task
    arrays = task.weights if _fits(kind, task.weights) else None
    start = None
    if arrays is not None and tuple(task.horizons) == SEASON_STEPS and "readout.weight" in arrays:
        bias = arrays["readout.bias"][:, None]
        start = np.concatenate([arrays["readout.weight"], bias], 1).astype(np.float64)
    cell, reservoir = _KINDS[kind]
    made = arrays or reservoir(np.random.default_rng(task.seed))
    return NetworkExpert(view, cell(made, task.channels), start)


class EchoStateCell:
    """A leaky reservoir (Jaeger 2001): h' = (h + tanh(x A + h B + c)) / 2."""

    def __init__(self, arrays: Arrays, channels: int = 1) -> None:
        self._inward, self._back, self._bias = (arrays[one] for one in ("inward", "back", "bias"))
        self.state: CellFloats = np.zeros((channels, len(self._back)))

    def step(self, inputs: CellFloats, elapsed: float = 1.0) -> CellFloats:
        """Step with inputs [C, F]; the elapsed time has no effect.  Returns the state [C, units]
        itself."""
        del elapsed
        drive = inputs @ self._inward + self.state @ self._back
        drive += self._bias
        self.state += np.tanh(drive, out=drive)
        self.state *= 0.5
        return self.state


def _fits(kind: str, weights: State | None) -> bool:
    return weights is not None and {"cfc": "ff1.weight", "gru": "weight_ih"}.get(kind) in weights


def _cfc(rng: np.random.Generator) -> Arrays:
    wide = len(INPUTS) + UNITS
    deviation = np.r_[np.full(len(INPUTS), 0.5), np.full(UNITS, 0.9)] / np.sqrt(UNITS)
    made: dict[str, Floats] = {}
    for name in ("ff1", "ff2", "time_a", "time_b"):
        made[f"{name}.weight"] = rng.normal(size=(UNITS, wide)) * deviation
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
    "echo": (EchoStateCell, _echo),
    "ltc": (LTC, _ltc),
}
