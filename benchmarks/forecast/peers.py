"""Online peers: last value, seasonal naive, DLinear online, lag RLS.

A method starts with the part for learning, then takes one sample per step and forecasts.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .data import BenchmarkStream
from .score import HORIZONS

Floats = NDArray[np.float64]


class Method(Protocol):
    """A compared method.  part: it runs on the bounded part only."""

    part: bool

    def begin(self, past: Floats, elapsed_s: Floats) -> None:
        """Learn from the samples [steps, channels] before the stream."""

    def step(self, values: Floats, elapsed_s: float) -> tuple[Floats, Floats | None, Floats | None]:
        """Process a sample; returns points, lows and highs [horizons, channels]."""

    def size(self) -> tuple[int, int]:
        """Return the number of learned parameters, and the bytes kept between samples."""


Answer = tuple[Floats, None, None]


class Online(ABC):
    """Base of methods that learn at every step: the past is processed step by step."""

    part = False

    def begin(self, past: Floats, elapsed_s: Floats) -> None:
        """Step through the past."""
        for values, elapsed in zip(past, elapsed_s, strict=True):
            self.step(values, float(elapsed))

    def step(self, values: Floats, elapsed_s: float) -> Answer:
        """Take a sample."""
        del elapsed_s
        return self.learn_and_forecast(values), None, None

    @abstractmethod
    def learn_and_forecast(self, values: Floats) -> Floats:
        """Learn and forecast."""

    def size(self) -> tuple[int, int]:
        """Numbers learned, and bytes kept."""
        arrays = [one for one in vars(self).values() if isinstance(one, np.ndarray)]
        kept = [*arrays, *(a for q in vars(self).values() if isinstance(q, deque) for a in q)]
        return getattr(self, "learned", 0), sum(getattr(each, "nbytes", 8) for each in kept)


class LastValuePeer(Online):
    """Repeats the last value."""

    def __init__(self, stream: BenchmarkStream) -> None:
        self._last = np.zeros(stream.values.shape[1])

    def learn_and_forecast(self, values: Floats) -> Floats:
        """Repeat the sample."""
        np.copyto(self._last, values, where=np.isfinite(values))
        return np.tile(self._last, (len(HORIZONS), 1))


class SeasonalNaivePeer(Online):
    """Repeats the value one season before the target."""

    def __init__(self, stream: BenchmarkStream) -> None:
        self._past: deque[Floats] = deque(maxlen=stream.period)

    def learn_and_forecast(self, values: Floats) -> Floats:
        """Look up the past season."""
        self._past.append(values.copy())
        if len(self._past) < (self._past.maxlen or 0):
            return np.tile(values, (len(HORIZONS), 1))
        return np.stack([self._past[(ahead - 1) % len(self._past)] for ahead in HORIZONS])


class DLinearOnline(Online):
    """DLinear (Zeng et al. 2023, AAAI), look-back 48, moving average 25: ridge regression on the
    past, then normalised gradient steps on new targets.  individual: separate weights per channel;
    the original default shares one set."""

    LOOKBACK, AVERAGE, RATE, PENALTY = 48, 25, 0.02, 1.0

    def __init__(self, stream: BenchmarkStream, *, individual: bool = False) -> None:
        channels = stream.values.shape[1]
        rows = channels if individual else 1
        self._weights = np.zeros((len(HORIZONS), rows, 2 * self.LOOKBACK + 1))
        self._window: deque[Floats] = deque(maxlen=self.LOOKBACK)
        self._inputs: deque[Floats] = deque(maxlen=HORIZONS[-1])
        self._centre = np.zeros(channels)
        self._unit = np.ones(channels)
        self.learned = self._weights.size
        pad = self.AVERAGE // 2
        edge = np.pad(np.eye(self.LOOKBACK), ((pad, pad), (0, 0)), mode="edge")
        sums = np.cumsum(np.vstack([np.zeros((1, self.LOOKBACK)), edge]), axis=0)
        self._smooth = (sums[self.AVERAGE :] - sums[: -self.AVERAGE]) / self.AVERAGE

    def begin(self, past: Floats, elapsed_s: Floats) -> None:
        """Fit on the past."""
        del elapsed_s
        past = np.nan_to_num(past)
        spread = past.std(axis=0)
        # A constant channel may change later.
        self._centre, self._unit = past.mean(axis=0), np.maximum(spread, 0.1 * spread.mean() + 1e-9)
        scaled = (past - self._centre) / self._unit
        views = np.lib.stride_tricks.sliding_window_view(scaled, self.LOOKBACK, axis=0)
        rows = views[: len(past) - self.LOOKBACK + 1 - HORIZONS[-1]]
        owners = np.minimum(np.arange(past.shape[1]), self._weights.shape[1] - 1)
        for owner in range(self._weights.shape[1]):
            self._solve(owner, rows, scaled, np.flatnonzero(owners == owner))
        for values in past[-self.LOOKBACK - HORIZONS[-1] :]:
            self.learn_and_forecast(values)

    def _solve(self, owner: int, rows: Floats, scaled: Floats, channels: NDArray[np.intp]) -> None:
        """Solve the ridge regression of channels that share weights."""
        width = self._weights.shape[2]
        gram, moments = self.PENALTY * np.eye(width), np.zeros((width, len(HORIZONS)))
        for channel in channels:
            x = self._features(rows[:, channel])
            first = self.LOOKBACK - 1
            y = [scaled[first + h : first + h + len(rows), channel] for h in HORIZONS]
            gram += x.T @ x
            moments += x.T @ np.stack(y, axis=1)
        self._weights[:, owner] = np.linalg.solve(gram, moments).T

    def learn_and_forecast(self, values: Floats) -> Floats:
        """Learn from the truths that are due, then forecast."""
        now = (np.nan_to_num(values) - self._centre) / self._unit
        for place, ahead in enumerate(HORIZONS):
            if len(self._inputs) >= ahead:
                x = self._inputs[-ahead]
                error = now - (self._weights[place] * x).sum(axis=1)
                step = self.RATE * error / (1.0 + np.einsum("cf,cf->c", x, x))
                moved = step[:, None] * x
                shared = len(self._weights[place]) == 1
                self._weights[place] += moved.mean(axis=0) if shared else moved
        self._window.append(now)
        if len(self._window) < self.LOOKBACK:
            return np.tile(values, (len(HORIZONS), 1))
        x = self._features(np.stack(self._window, axis=1))
        self._inputs.append(x)
        made: Floats = (self._weights * x).sum(axis=2) * self._unit + self._centre
        return made

    def _features(self, windows: Floats) -> Floats:
        """Return trend, remainder and one: [rows, 2 * LOOKBACK + 1]."""
        trend = windows @ self._smooth.T
        ones = np.ones((len(windows), 1))
        return np.concatenate([trend, windows - trend, ones], axis=1)


class LagRls(Online):
    """Recursive least squares per channel and horizon on the change from the last value: six past
    changes, the distance to a running mean, the same slot of the last season, time of season."""

    LAGS, FORGETTING, PENALTY, RATE, EVERY, CLIP = 6, 0.999, 1.0, 0.05, 4, 50.0

    def __init__(self, stream: BenchmarkStream) -> None:
        channels, self._features = stream.values.shape[1], self.LAGS + 5
        shape = (len(HORIZONS), channels, self._features)
        self._weights = np.zeros(shape)
        # Sums of products, and the weights solved from them; unlike the usual recursion on
        # the inverse this stays exact over years of exponential forgetting.
        self._gram = np.zeros((*shape, self._features))
        self._moments = np.zeros(shape)
        self._past: deque[Floats] = deque(maxlen=stream.period + 1)
        self._inputs: deque[tuple[Floats, Floats]] = deque(maxlen=HORIZONS[-1])
        self._mean = np.full(channels, np.nan)
        self._unit = np.full(channels, 1e-9)
        self._period, self._clock = stream.period, 0
        self._last = np.zeros(channels)
        self.learned = self._weights.size

    def learn_and_forecast(self, values: Floats) -> Floats:
        """Learn from the truths that are due, then forecast."""
        # The last value replaces a missing one.
        self._last = np.where(np.isfinite(values), values, self._last)
        for place, ahead in enumerate(HORIZONS):
            if len(self._inputs) >= ahead:
                x, origin = self._inputs[-ahead]
                change = np.clip((self._last - origin) / self._unit, -self.CLIP, self.CLIP)
                self._learn(place, x[place], change)
        if self._clock % self.EVERY == 0:
            ridge = self._gram + self.PENALTY * np.eye(self._features)
            self._weights[:] = np.linalg.solve(ridge, self._moments[..., None])[..., 0]
        x = self._describe()
        self._inputs.append((x, self._last.copy()))
        made: Floats = self._last + self._unit * np.einsum("hcf,hcf->hc", self._weights, x)
        return made

    def _learn(self, place: int, x: Floats, y: Floats) -> None:
        self._gram[place] *= self.FORGETTING
        self._gram[place] += x[:, :, None] * x[:, None, :]
        self._moments[place] *= self.FORGETTING
        self._moments[place] += x * y[:, None]

    def _describe(self) -> Floats:
        """Return the features of the change: [horizons, channels, features]."""
        now = self._last
        before = self._past[-1] if self._past else now
        self._mean = np.where(np.isnan(self._mean), now, self._mean)
        self._mean += self.RATE * (now - self._mean)
        self._past.append(now.copy())
        change = np.abs(now - before)
        self._unit += np.where(self._unit < 1e-8, 1.0, 0.01) * (change - self._unit)
        self._unit = np.maximum(self._unit, 1e-9)
        past = np.stack([self._past[-1 - min(lag, len(self._past) - 1)] for lag in range(7)])
        angle = 2 * np.pi * self._clock / self._period
        self._clock += 1
        plain = np.concatenate(
            [(past[:-1] - past[1:]) / self._unit, [(now - self._mean) / self._unit]]
        )
        plain = np.clip(plain, -self.CLIP, self.CLIP)
        x = np.empty((len(HORIZONS), len(now), self._features))
        x[:, :, : self.LAGS + 1] = plain.T
        x[:, :, -4] = self._season()
        x[:, :, -3:] = np.sin(angle), np.cos(angle), 1.0
        return x

    def _season(self) -> Floats:
        """Return the change one season ago, for each horizon, in units."""
        if len(self._past) <= self._period:
            return np.zeros((len(HORIZONS), len(self._last)))
        then = self._past[0]
        ahead = [self._past[h] if h < len(self._past) else then for h in HORIZONS]
        made: Floats = np.clip((np.stack(ahead) - then) / self._unit, -self.CLIP, self.CLIP)
        return made


ONLINE: dict[str, Callable[[BenchmarkStream], Method]] = {
    "last value": LastValuePeer,
    "seasonal naive": SeasonalNaivePeer,
    "DLinear online": DLinearOnline,
    "DLinear online individual": lambda stream: DLinearOnline(stream, individual=True),
    "lag-RLS": LagRls,
}
