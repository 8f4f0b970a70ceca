"""Training of the small recurrent networks that forecast: the liquid one (CfC) and the gated (GRU).

One network serves every channel of every stream: it sees a channel's history in units of its usual
movement and says how far the channel will move in them.  What it sees is made by the code that
serves (`History`), sample by sample, so that training and serving cannot differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.forecasting import INPUTS, SEASON_STEPS, JumpCorrectedHistory
from .determinism import repeatable

WINDOW: Final = 64
BURN_IN: Final = 16
"""The first samples of a window find the state; only what follows is learned from."""
BATCH: Final = 128
RATE: Final = 8e-3
BETA: Final = 0.05
GRADIENT_MAX: Final = 1.0
TARGET_MAX: Final = 30.0
UNITS: Final = {"cfc": 20, "gru": 24}
"""Near 3,000 parameters each."""

Floats = NDArray[np.float32]
Weights = dict[str, Tensor]
Run = Callable[[Weights, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastTrainingSet:
    """One stream as a network sees it.

    inputs: float32 [steps, channels, features].  ratios: float32 [steps], each step over the usual
    one.  targets: float32 [steps, channels, horizons], the way to the value some steps on, over the
    usual movement times the root of the steps (a random walk's); NaN where there is none: a jump or
    a gap lies between, a value is missing, or nothing ever moved.
    """

    inputs: Floats
    ratios: Floats
    targets: Floats


def make_training_set(
    values: NDArray[np.float64], elapsed_s: NDArray[np.float64], period: int | None = None
) -> ForecastTrainingSet:
    """Turn a recorded stream into lessons.

    values: [steps, channels], NaN where missing; elapsed_s: [steps], seconds since the sample
    before.  Cost: one `History.step` a sample.
    """
    steps, channels = values.shape
    history = JumpCorrectedHistory(channels, period)
    inputs = np.empty((steps, channels, len(INPUTS)), np.float32)
    ratios = np.empty(steps, np.float32)
    last, unit = np.empty((2, steps, channels))
    breaks = np.empty((steps, channels), np.int64)
    for step, (row, elapsed) in enumerate(zip(values, elapsed_s, strict=True)):
        history.step(row, float(elapsed))
        inputs[step] = history.inputs
        ratios[step] = history.clock.ratio
        last[step], unit[step] = history.last, history.scale
        breaks[step] = history.jumped | ~history.present | history.after_gap
    return ForecastTrainingSet(inputs, ratios, _targets(last, unit, np.cumsum(breaks, axis=0)))


def _targets(
    last: NDArray[np.float64], unit: NDArray[np.float64], breaks: NDArray[np.int64]
) -> Floats:
    made = np.full((*last.shape, len(SEASON_STEPS)), np.nan, np.float32)
    for place, ahead in enumerate(SEASON_STEPS):
        if ahead >= len(last):
            continue
        moving = unit[:-ahead] > 1e-9 * np.abs(last[:-ahead])
        usable = moving & (breaks[ahead:] == breaks[:-ahead])
        scale = np.where(usable, unit[:-ahead] * np.sqrt(ahead), 1.0)
        way = np.clip((last[ahead:] - last[:-ahead]) / scale, -TARGET_MAX, TARGET_MAX)
        made[:-ahead, :, place] = np.where(usable, way, np.nan)
    return made


def train_network(
    kind: str,
    corpus: Sequence[ForecastTrainingSet],
    shares: Sequence[float],
    steps: int,
    seed: int,
    start: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, Floats]:
    """Train a network from a seed; returns its arrays, named as `cells` and `readout.*`.

    kind: "cfc" or "gru".  shares: how often a window comes from each stream, in proportion; every
    stream is longer than WINDOW.  `steps` of Adam with a cosine rate, Huber loss (Huber 1964).
    start: arrays to go on from, at a quarter of the rate.  Bit-equal on one machine for the same
    arguments.  Cost: about 20 ms a step.
    """
    random = np.random.default_rng(seed)
    first = _start(kind, random) if start is None else start
    parameters = {name: torch.from_numpy(a.astype(np.float32)) for name, a in first.items()}
    leaves = [value.requires_grad_() for value in parameters.values()]
    rate = RATE if start is None else RATE / 4
    optimiser = torch.optim.AdamW(leaves, lr=rate, weight_decay=1e-4)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    chances = np.asarray(shares, np.float64) / np.sum(shares)
    with repeatable():
        for _ in range(steps):
            optimiser.zero_grad()
            loss = _loss(RUNS[kind], parameters, _draw(corpus, chances, random))
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(leaves, GRADIENT_MAX, error_if_nonfinite=True)
            optimiser.step()
            rates.step()
    return {name: value.detach().numpy().copy() for name, value in parameters.items()}


def predict_network(
    kind: str, arrays: Mapping[str, NDArray[Any]], lessons: ForecastTrainingSet
) -> Floats:
    """Return a network's outputs over a whole stream, float32 [steps, channels, horizons], in the
    units of the targets."""
    weights = {name: torch.from_numpy(value.astype(np.float32)) for name, value in arrays.items()}
    ratios = np.repeat(lessons.ratios[:, None], lessons.inputs.shape[1], axis=1)
    with torch.no_grad():
        made = RUNS[kind](weights, torch.from_numpy(lessons.inputs), torch.from_numpy(ratios))
    return np.asarray(made.numpy())


def _start(kind: str, random: np.random.Generator) -> dict[str, Floats]:
    """Draw parameters, variance-preserving; the readout starts at last value."""
    units, features = UNITS[kind], len(INPUTS)
    shapes: dict[str, tuple[int, ...]]
    if kind == "cfc":
        shapes = {
            f"{name}.weight": (units, features + units)
            for name in ("ff1", "ff2", "time_a", "time_b")
        }
    else:
        shapes = {"weight_ih": (3 * units, features), "weight_hh": (3 * units, units)}
    made = {name: random.normal(0, shape[1] ** -0.5, shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        made[name.replace("weight", "bias")] = np.zeros(shape[0])
    made["readout.weight"] = np.zeros((len(SEASON_STEPS), units))
    made["readout.bias"] = np.zeros(len(SEASON_STEPS))
    return {name: value.astype(np.float32) for name, value in made.items()}


def _draw(
    corpus: Sequence[ForecastTrainingSet], chances: NDArray[np.float64], random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of random streams, channels and starts: inputs [window, batch, features], ratios
    [window, batch], targets [window, batch, horizons]."""
    inputs = np.empty((WINDOW, BATCH, len(INPUTS)), np.float32)
    ratios = np.empty((WINDOW, BATCH), np.float32)
    targets = np.empty((WINDOW, BATCH, len(SEASON_STEPS)), np.float32)
    for row, number in enumerate(random.choice(len(corpus), BATCH, p=chances)):
        one = corpus[number]
        start = random.integers(len(one.inputs) - WINDOW)
        channel = random.integers(one.inputs.shape[1])
        part = slice(start, start + WINDOW)
        inputs[:, row] = one.inputs[part, channel]
        ratios[:, row] = one.ratios[part]
        targets[:, row] = one.targets[part, channel]
    return torch.from_numpy(inputs), torch.from_numpy(ratios), torch.from_numpy(targets)


def _loss(run: Run, parameters: Weights, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    inputs, ratios, targets = batch
    made, wanted = run(parameters, inputs, ratios)[BURN_IN:], targets[BURN_IN:]
    usable = ~torch.isnan(wanted)
    errors = torch.nn.functional.smooth_l1_loss(
        made, torch.where(usable, wanted, 0.0), beta=BETA, reduction="none"
    )
    return (errors * usable).sum() / usable.sum().clamp(min=1)


def _run_cfc(weights: Weights, inputs: Tensor, ratios: Tensor) -> Tensor:
    """Outputs [steps, channels, horizons] of the closed-form cell over inputs [steps, channels,
    features], mode "default"."""
    names = ("ff1", "ff2", "time_a", "time_b")
    joined = torch.cat([weights[f"{name}.weight"] for name in names])
    bias = torch.cat([weights[f"{name}.bias"] for name in names])
    features = inputs.shape[2]
    inward, back = joined[:, :features].T, joined[:, features:].T
    driven = inputs @ inward + bias
    state, states = inputs.new_zeros(inputs.shape[1], len(back)), []
    for row, ratio in zip(driven, ratios, strict=True):
        first, second, rate, shift = torch.addmm(row, state, back).chunk(4, dim=1)
        first, second = torch.tanh(first), torch.tanh(second)
        gate = torch.sigmoid(torch.addcmul(shift, rate, ratio[:, None]))
        state = torch.lerp(first, second, gate)
        states.append(state)
    return _read_out(weights, states)


def _run_gru(weights: Weights, inputs: Tensor, _ratios: Tensor) -> Tensor:
    """The same of the gated unit."""
    state, states = inputs.new_zeros(inputs.shape[1], weights["weight_hh"].shape[1]), []
    parts: Any = [weights[n] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    for row in inputs:
        state = torch.gru_cell(row, state, *parts)
        states.append(state)
    return _read_out(weights, states)


def _read_out(weights: Weights, states: list[Tensor]) -> Tensor:
    return torch.stack(states) @ weights["readout.weight"].T + weights["readout.bias"]


RUNS: Final[dict[str, Run]] = {"cfc": _run_cfc, "gru": _run_gru}
