"""Peers fitted in batches: networks re-fitted or frozen, ARIMA and ETS re-fitted.

The re-fitted MLP is the reference of arXiv 2404.05304 (incremental learning on each new batch), the
frozen CfC its liquid network, both predicting the load itself; networks that predict the change
from the last value are the best among them.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .data import BenchmarkStream, Floats
from .peers import Answer, Method
from .score import HORIZONS, part_channels

LAGS = 12
"""One hour of five-minute loads, as many as the farthest horizon."""
RECENT_STEPS = 576
"""Two days of five-minute loads.  Chosen by hand."""
BATCHES = (48, 96, 288)
"""Steps between two fits; the best one is reported."""
UNITS = 32
"""Chosen by hand; the shipped network has 20 units."""
WINDOW = 64
"""Steps that recurrent networks are trained over; five hours of loads."""
BATCH = 16
"""Chosen by hand; effect not measured."""
BETA = 0.2
"""Of the smooth L1 loss, on standardised values.  Chosen by hand; effect not measured."""
MLP_UPDATES, LSTM_UPDATES, FROZEN_UPDATES = 150, 40, 1_200
"""Gradient steps per fit.  Chosen by hand; effect not measured."""


class TorchForecaster:
    """One network over all channels.  residual: it predicts the change from the last value.
    refit_steps: steps between two fits on the last 576 steps, 0 for never."""

    part = False

    def __init__(
        self, stream: BenchmarkStream, kind: str, refit_steps: int, *, residual: bool
    ) -> None:
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(1)
        self._kind, self._every, self._residual = kind, refit_steps, residual
        channels = stream.values.shape[1]
        self._period, self._clock = stream.period, 0
        self._net = _build(kind, channels)
        self._optimiser = torch.optim.Adam(self._net.parameters(), 3e-3)
        self._recent: deque[Floats] = deque(maxlen=RECENT_STEPS + HORIZONS[-1])
        self._centre, self._unit = np.zeros(channels), np.ones(channels)
        self._state: Any = None
        self._random = np.random.default_rng(0)

    def begin(self, past: Floats, elapsed_s: Floats) -> None:
        """Fit on the past, then run over its end to warm up the state."""
        del elapsed_s
        past = np.nan_to_num(past)
        level = past.mean(axis=0)
        self._unit = np.maximum(past.std(axis=0), 0.1 * np.abs(past).mean(axis=0).mean() + 1e-9)
        self._centre = level
        self._fit((past - level) / self._unit, 0, FROZEN_UPDATES)
        kept = self._recent.maxlen or 0
        self._recent.extend(((past - level) / self._unit)[-kept : -3 * WINDOW])
        self._clock = max(0, len(past) - 3 * WINDOW)
        for values in past[-3 * WINDOW :]:
            self.step(values, 0.0)

    def step(self, values: Floats, elapsed_s: float) -> Answer:
        """Forecast, and fit again if due."""
        import torch

        del elapsed_s
        last = self._recent[-1] if self._recent else np.zeros_like(values)
        now = np.where(np.isfinite(values), (values - self._centre) / self._unit, last)
        self._recent.append(now)
        self._clock += 1
        full = len(self._recent) == self._recent.maxlen
        if self._every and full and self._clock % self._every == 0:
            updates = MLP_UPDATES if self._kind == "mlp" else LSTM_UPDATES
            self._fit(np.stack(self._recent), self._clock - len(self._recent), updates)
        with torch.no_grad():
            made = self._forecast()
        point = made + now if self._residual else made
        return point * self._unit + self._centre, None, None

    def size(self) -> tuple[int, int]:
        """Return the number of parameters, and the bytes of parameters and stored samples."""
        count = sum(each.numel() for each in self._net.parameters())
        return count, 4 * count + sum(each.nbytes for each in self._recent)

    def _forecast(self) -> Floats:
        """Return the network's forecast after the latest sample."""
        import torch

        if self._kind == "mlp":
            rows = [self._recent[-1 - min(lag, len(self._recent) - 1)] for lag in range(LAGS)]
            given = torch.as_tensor(np.stack(rows), dtype=torch.float32)[None, None]
            made = self._net(given.flatten(2))
        else:
            given = self._inputs(self._recent[-1][None], self._clock - 1)[None]
            made, self._state = self._net(given, self._state)
        found: Floats = made.reshape(len(HORIZONS), -1).double().numpy()
        return found

    def _inputs(self, scaled: Floats, first: int) -> Any:
        """Return samples with the time of the season."""
        import torch

        angle = 2 * np.pi * (first + np.arange(len(scaled)))[:, None] / self._period
        joined = np.concatenate([scaled, np.sin(angle), np.cos(angle)], axis=1)
        return torch.as_tensor(joined, dtype=torch.float32)

    def _fit(self, scaled: Floats, first: int, updates: int) -> None:
        """Train with Adam on random windows whose targets have been observed."""
        import torch

        ahead = HORIZONS[-1]
        truth = np.stack([scaled[h : len(scaled) - ahead + h] for h in HORIZONS], axis=1)
        rows = scaled[: len(truth)]
        if self._residual:
            truth = truth - rows[:, None]
        inputs = self._inputs(rows, first)
        wanted = torch.as_tensor(truth, dtype=torch.float32)
        span = LAGS if self._kind == "mlp" else WINDOW
        if len(rows) <= span:
            return
        width = 8 * BATCH if self._kind == "mlp" else BATCH
        for _ in range(updates):
            starts = self._random.integers(0, len(rows) - span, width)
            places = torch.as_tensor(starts[:, None] + np.arange(span))
            if self._kind == "mlp":
                lags = inputs[places][:, :, : rows.shape[1]].flip(1)
                made, aims = self._net(lags.flatten(1)[:, None]), wanted[places[:, -1:]]
            else:
                made, _ = self._net(inputs[places], None)
                aims = wanted[places]
            loss: Any = torch.nn.functional.smooth_l1_loss(
                made.reshape(aims.shape), aims, beta=BETA
            )
            self._optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
            self._optimiser.step()


def _build(kind: str, channels: int) -> Any:
    """Build an MLP over lags, or a recurrent network with a linear head."""
    import torch
    from torch import nn

    outputs = len(HORIZONS) * channels
    if kind == "mlp":
        hidden = nn.Linear(LAGS * channels, 64)
        return nn.Sequential(hidden, nn.ReLU(), nn.Linear(64, outputs))

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell: Any = _cell(kind, channels + 2)
            self.head = nn.Linear(UNITS, outputs)

        def forward(self, given: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
            hidden, state = self.cell(given, state)
            return self.head(hidden), state

    return Recurrent()


def _cell(kind: str, inputs: int) -> Any:
    import torch
    from ncps.torch import CfC

    if kind == "lstm":
        return torch.nn.LSTM(inputs, UNITS, batch_first=True)
    return CfC(inputs, UNITS, backbone_units=64, backbone_layers=1)


class Refitted:
    """A statsforecast model per channel, selected again at intervals on the last 576 values and
    continued with the values since."""

    part = True
    EVERY = 240

    def __init__(self, stream: BenchmarkStream, make: Callable[[], Any]) -> None:
        channels = len(part_channels(stream))
        self._models = [make() for _ in range(channels)]
        self._recent: deque[Floats] = deque(maxlen=RECENT_STEPS)
        self._clock = 0

    def begin(self, past: Floats, elapsed_s: Floats) -> None:
        """Keep the end of the past."""
        del elapsed_s
        self._recent.extend(np.nan_to_num(past[-RECENT_STEPS:]))

    def step(self, values: Floats, elapsed_s: float) -> Answer:
        """Forecast with the model chosen last."""
        del elapsed_s
        self._recent.append(np.where(np.isfinite(values), values, self._recent[-1]))
        recent = np.stack(self._recent)
        made = np.empty((len(HORIZONS), recent.shape[1]))
        for channel, model in enumerate(self._models):
            series = np.ascontiguousarray(recent[:, channel])
            try:
                if self._clock % self.EVERY == 0:
                    model.fit(series)
                    ahead = model.predict(HORIZONS[-1])["mean"]
                else:
                    ahead = model.forward(series, HORIZONS[-1])["mean"]
                made[:, channel] = [ahead[h - 1] for h in HORIZONS]
            except (ValueError, ZeroDivisionError, np.linalg.LinAlgError):
                # A constant series has no model: the last value is the forecast.
                made[:, channel] = np.nan
        self._clock += 1
        return made, None, None

    def size(self) -> tuple[int, int]:
        """Bytes of the values kept; the models' own are not counted."""
        return 0, sum(each.nbytes for each in self._recent)


def _arima() -> Any:
    from statsforecast.models import AutoARIMA

    return AutoARIMA(season_length=1)


def _ets() -> Any:
    from statsforecast.models import AutoETS

    return AutoETS(season_length=1)


def _networks() -> dict[str, Callable[[BenchmarkStream], Method]]:
    found: dict[str, Callable[[BenchmarkStream], Method]] = {}
    for steps in BATCHES:
        make = partial(TorchForecaster, kind="mlp", refit_steps=steps, residual=False)
        found[f"MLP re-fit/{steps}"] = make
    for steps in BATCHES:
        make = partial(TorchForecaster, kind="lstm", refit_steps=steps, residual=True)
        found[f"LSTM re-fit/{steps}"] = make
    found["LSTM frozen"] = partial(TorchForecaster, kind="lstm", refit_steps=0, residual=False)
    found["CfC frozen"] = partial(TorchForecaster, kind="cfc", refit_steps=0, residual=False)
    return found


HEAVY: dict[str, Callable[[BenchmarkStream], Method]] = {
    **_networks(),
    "AutoARIMA re-fit": lambda stream: Refitted(stream, _arima),
    "AutoETS re-fit": lambda stream: Refitted(stream, _ets),
}


def is_wanted(name: str, stream: BenchmarkStream) -> bool:
    """Return whether one of these peers runs on a stream: slow ones run on a sample only."""
    whole = name in HEAVY and not name.startswith(("LSTM re-fit", "Auto")) and stream.group != "nab"
    return stream.sample or whole or name not in HEAVY
