"""Training of the recurrent forecasting networks: a liquid network (CfC) and a GRU.

One network serves every channel of every stream: its inputs are a channel's history in scales, its
outputs the movements of the channel in scales.  The code that serves (`JumpCorrectedHistory`) makes
the inputs, sample by sample, so that training and serving cannot differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.forecasting import (
    INPUTS,
    SEASON_STEPS,
    ForecasterTrainingJob,
    ForecasterTrainingResult,
    JumpCorrectedHistory,
)
from .network_recipes import NETWORK_RECIPES, NetworkRecipe
from .optimisation import deterministic

HELD_OUT: Final = 0.2
"""Share of a recording that evaluates a network: the last fifth.  Chosen by hand; effect not
measured."""
WINDOW: Final = 64
"""Steps of a training window: five hours of five-minute samples.  Chosen by hand; effect not
measured."""
BURN_IN: Final = 16
"""First steps of a window, which only warm up the state.  Chosen by hand; effect not measured."""
BATCH: Final = 128
"""Windows in a batch.  Chosen by hand; effect not measured."""
RATE: Final = 8e-3
"""Initial learning rate, for a cosine schedule.  Chosen by hand; effect not measured."""
BETA: Final = 0.05
"""Error at which the Huber loss turns from squared to absolute: nearly the absolute error, which
forecasts are evaluated by.  Chosen by hand; effect not measured."""
GRADIENT_MAX: Final = 1.0
"""Norm that gradients are clipped to.  Chosen by hand; effect not measured."""
TARGET_MAX: Final = 30.0
"""Largest target: a burst must not dominate a batch.  Chosen by hand; effect not measured."""
UNITS: Final = {"cfc": 20, "gru": 24}
"""Units by kind: about 3,000 parameters each, so that the two compare."""

Floats = NDArray[np.float32]
Weights = dict[str, Tensor]
Run = Callable[[Weights, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastTrainingSet:
    """A stream as inputs and targets of a network.

    inputs: float32 [steps, channels, features].  ratios: float32 [steps], each interval over the
    sampling interval.  targets: float32 [steps, channels, horizons], the movement over the horizon
    divided by the scale and the root of the horizon (that of a random walk); NaN across jumps, gaps
    and missing values, and for channels that never moved.
    """

    inputs: Floats
    ratios: Floats
    targets: Floats


def train_forecaster(job: ForecasterTrainingJob) -> ForecasterTrainingResult:
    """Train on the first four fifths of a recording and evaluate on the rest.

    The network is returned only if its mean error over all horizons is below that of the initial
    one.  Bit-equal on one machine for the same job.  Raises ValueError for an unknown recipe.
    Cost: about 20 ms a round.
    """
    if job.recipe not in NETWORK_RECIPES:
        raise ValueError(
            f"training a network: expected a recipe of {', '.join(NETWORK_RECIPES)}, "
            f"found {job.recipe!r}"
        )
    whole = make_training_set(job.values, job.elapsed_s, job.period or None)
    cut = int(len(job.values) * (1 - HELD_OUT))
    first = ForecastTrainingSet(whole.inputs[:cut], whole.ratios[:cut], whole.targets[:cut])
    if cut <= WINDOW or np.isnan(first.targets).all():
        return ForecasterTrainingResult(
            {}, "nothing in the recording moves for long enough to learn from"
        )
    recipe = NETWORK_RECIPES[job.recipe]
    made = train_network(
        job.kind, [first], [1.0], job.rounds, job.seed, start=job.start, recipe=recipe
    )
    own, start = (_relative_errors(job.kind, arrays, whole, cut) for arrays in (made, job.start))
    if not sum(own) < sum(start):
        return ForecasterTrainingResult(
            {}, "it does no better than the network it started from", own, start
        )
    return ForecasterTrainingResult(made, "better", own, start)


def make_training_set(
    values: NDArray[np.float64], elapsed_s: NDArray[np.float64], period: int | None = None
) -> ForecastTrainingSet:
    """Turn a recorded stream into inputs and targets.

    values: [steps, channels], NaN where missing; elapsed_s: [steps], seconds since the previous
    sample.  Cost: one `JumpCorrectedHistory.step` per sample.
    """
    steps, channels = values.shape
    history = JumpCorrectedHistory(channels, period)
    inputs = np.empty((steps, channels, len(INPUTS)), np.float32)
    ratios = np.empty(steps, np.float32)
    last, scale = np.empty((2, steps, channels))
    breaks = np.empty((steps, channels), np.int64)
    for step, (row, elapsed) in enumerate(zip(values, elapsed_s, strict=True)):
        history.step(row, float(elapsed))
        inputs[step] = history.inputs
        ratios[step] = history.clock.ratio
        last[step], scale[step] = history.last, history.scale
        breaks[step] = history.jumped | ~history.present | history.after_gap
    return ForecastTrainingSet(inputs, ratios, _targets(last, scale, np.cumsum(breaks, axis=0)))


def _targets(
    last: NDArray[np.float64], scale: NDArray[np.float64], breaks: NDArray[np.int64]
) -> Floats:
    made = np.full((*last.shape, len(SEASON_STEPS)), np.nan, np.float32)
    for place, ahead in enumerate(SEASON_STEPS):
        if ahead >= len(last):
            continue
        moving = scale[:-ahead] > 1e-9 * np.abs(last[:-ahead])
        usable = moving & (breaks[ahead:] == breaks[:-ahead])
        divisor = np.where(usable, scale[:-ahead] * np.sqrt(ahead), 1.0)
        moved = np.clip((last[ahead:] - last[:-ahead]) / divisor, -TARGET_MAX, TARGET_MAX)
        made[:-ahead, :, place] = np.where(usable, moved, np.nan)
    return made


def train_network(
    kind: str,
    corpus: Sequence[ForecastTrainingSet],
    shares: Sequence[float],
    steps: int,
    seed: int,
    *,
    start: Mapping[str, NDArray[Any]] | None = None,
    recipe: NetworkRecipe = NETWORK_RECIPES["plain"],
) -> dict[str, Floats]:
    """Train a network; return its arrays, with the names of `cells` and `readout.*`.

    kind: "cfc" or "gru".  shares: relative frequency of windows from each stream; every stream must
    be longer than WINDOW.  steps: of AdamW with a cosine schedule, on the Huber loss (Huber 1964).
    start: initial arrays, trained at a quarter of the rate; random ones by default.  recipe: other
    schedules, and windows in order of time.  Bit-equal on one machine for the same arguments.
    Cost: about 20 ms a step.
    """
    random = np.random.default_rng(seed)
    # Sorted: gradients are clipped by a sum over all arrays, which a file may hold in any order.
    first = _start(kind, random) if start is None else dict(sorted(start.items()))
    parameters = {name: torch.from_numpy(a.astype(np.float32)) for name, a in first.items()}
    leaves = [value.requires_grad_() for value in parameters.values()]
    rate = RATE if start is None else RATE / 4
    optimiser = torch.optim.AdamW(leaves, lr=rate, weight_decay=1e-4)
    rates = _schedule(optimiser, recipe, steps)
    chances = np.asarray(shares, np.float64) / np.sum(shares)
    with deterministic():
        for step in range(steps):
            optimiser.zero_grad()
            ranges = partial(recipe.window_range, step=step, steps=steps)
            batch = _draw(corpus, chances, random, ranges)
            torch.autograd.backward(_loss(RUNS[kind], parameters, batch))
            for name, value in parameters.items():
                # The optimiser skips a parameter without a gradient.
                value.grad = None if recipe.frozen(name, step, steps) else value.grad
            torch.nn.utils.clip_grad_norm_(leaves, GRADIENT_MAX, error_if_nonfinite=True)
            optimiser.step()
            rates.step()
    return {name: value.detach().numpy().copy() for name, value in parameters.items()}


def _schedule(
    optimiser: torch.optim.Optimizer, recipe: NetworkRecipe, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    rates = recipe.rates(steps)
    if rates is None:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    # The scheduler asks for the rate after the last step, too.
    return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (*rates, rates[-1])[step])


def predict_network(
    kind: str, arrays: Mapping[str, NDArray[Any]], stream: ForecastTrainingSet
) -> Floats:
    """Return the outputs of a network over a whole stream, float32 [steps, channels, horizons], in
    the units of the targets."""
    weights = {name: torch.from_numpy(value.astype(np.float32)) for name, value in arrays.items()}
    ratios = np.repeat(stream.ratios[:, None], stream.inputs.shape[1], axis=1)
    with torch.no_grad():
        made = RUNS[kind](weights, torch.from_numpy(stream.inputs), torch.from_numpy(ratios))
    return np.asarray(made.numpy())


def initial_network(kind: str, seed: int) -> dict[str, Floats]:
    """Return the random arrays that a training starts from.  kind: "cfc" or "gru"."""
    return _start(kind, np.random.default_rng(seed))


def network_loss(
    kind: str,
    weights: Weights,
    corpus: Sequence[ForecastTrainingSet],
    random: np.random.Generator,
) -> Tensor:
    """Return the Huber loss of a network on a batch of random windows, streams by their length."""
    lengths = np.array([len(one.inputs) for one in corpus], np.float64)
    anywhere = partial(NETWORK_RECIPES["plain"].window_range, step=0, steps=1)
    return _loss(RUNS[kind], weights, _draw(corpus, lengths / lengths.sum(), random, anywhere))


def _relative_errors(
    kind: str, arrays: Mapping[str, NDArray[Any]], whole: ForecastTrainingSet, cut: int
) -> tuple[float, ...]:
    """Return the mean absolute error from a step on, over that of the last value, by horizon."""
    targets = whole.targets[cut:]
    usable = ~np.isnan(targets)
    errors = np.where(usable, np.abs(predict_network(kind, arrays, whole)[cut:] - targets), 0.0)
    baseline = np.where(usable, np.abs(targets), 0.0)
    ratios = errors.sum(axis=(0, 1)) / np.maximum(baseline.sum(axis=(0, 1)), 1e-300)
    return tuple(float(ratio) for ratio in ratios)


def _start(kind: str, random: np.random.Generator) -> dict[str, Floats]:
    """Draw variance-preserving parameters; the initial readout forecasts the last value."""
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
    corpus: Sequence[ForecastTrainingSet],
    chances: NDArray[np.float64],
    random: np.random.Generator,
    window_range: Callable[..., tuple[int, int]],
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw windows of random streams, channels and starts: inputs [window, batch, features], ratios
    [window, batch], targets [window, batch, horizons]."""
    inputs = np.empty((WINDOW, BATCH, len(INPUTS)), np.float32)
    ratios = np.empty((WINDOW, BATCH), np.float32)
    targets = np.empty((WINDOW, BATCH, len(SEASON_STEPS)), np.float32)
    for row, number in enumerate(random.choice(len(corpus), BATCH, p=chances)):
        one = corpus[number]
        start = random.integers(*window_range(len(one.inputs) - WINDOW, random=random))
        channel = random.integers(one.inputs.shape[1])
        part = slice(start, start + WINDOW)
        inputs[:, row] = one.inputs[part, channel]
        ratios[:, row] = one.ratios[part]
        targets[:, row] = one.targets[part, channel]
    return torch.from_numpy(inputs), torch.from_numpy(ratios), torch.from_numpy(targets)


def _loss(run: Run, parameters: Weights, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    inputs, ratios, targets = batch
    outputs, expected = run(parameters, inputs, ratios)[BURN_IN:], targets[BURN_IN:]
    usable = ~torch.isnan(expected)
    errors = torch.nn.functional.smooth_l1_loss(
        outputs, torch.where(usable, expected, 0.0), beta=BETA, reduction="none"
    )
    return (errors * usable).sum() / usable.sum().clamp(min=1)


def _run_cfc(weights: Weights, inputs: Tensor, ratios: Tensor) -> Tensor:
    """Return outputs [steps, channels, horizons] of the closed-form cell in mode "default" for
    inputs [steps, channels, features]."""
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
    """Return the same for the GRU."""
    state, states = inputs.new_zeros(inputs.shape[1], weights["weight_hh"].shape[1]), []
    parts: Any = [weights[n] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    for row in inputs:
        state = torch.gru_cell(row, state, *parts)
        states.append(state)
    return _read_out(weights, states)


def _read_out(weights: Weights, states: list[Tensor]) -> Tensor:
    return torch.stack(states) @ weights["readout.weight"].T + weights["readout.bias"]


RUNS: Final[dict[str, Run]] = {"cfc": _run_cfc, "gru": _run_gru}
