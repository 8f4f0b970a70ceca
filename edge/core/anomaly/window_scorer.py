"""The default scorer: windows against a memory, the running range, and shifts of several channels.

1. Values become integer codes by a robust scale of each channel (`scale`).
2. Windows of 16, 32 and 64 samples are compared with a bounded memory (`windows`).  The mean
   distance to the nearest five, summed over the scales, is one measure; the excess beyond the
   running range, in ranges, is another.
3. Each measure is judged by its own recent past (`surprise`).
4. In series of several channels the joint shift of two channels against held-out blocks is judged,
   too (`level`).
5. The largest of these scores gets a p-value (`p_values`) and may raise an alarm (`alarms`).
"""

from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .alarms import CLEAR_SHARE, AlarmGate
from .level import MEAN_STEPS, LevelShift, joined
from .p_values import ScoreRanks
from .scale import CODES_PER_UNIT, RobustScale
from .scorer import AnomalyScore, Floats, ScoringTask, State
from .surprise import RunningSurprise, normal_tail
from .windows import SCALES, WindowMemory

VALUE_MAX: Final = 1e150
"""Larger values count as missing: their squares overflow."""
# Samples before the excess beyond the range counts.  Chosen by hand; effect not measured.
_RANGE_STEPS: Final = 20
_DISTANCE, _RANGE = 0, 1  # rows of the measures
_RANKS: Final = "ranks/counts"  # their array in a state
_TINY: Final = 1e-9  # instead of a division by zero
# Rate of the running mean of each scale's distance.  Chosen by hand: it only names the scale.
_SCALE_RATE: Final = 0.01
# Standard deviations that a joint shift of 1 counts as, so that one limit of the score serves
# windows and joint shifts.  Chosen on half of SKAB, with a margin: F1 there is .71 with 1.35, .74
# with 1.4, .79 with 1.45, .80 with 1.5 and .82 with 1.6.
_JOINT_DEVIATIONS: Final = 1.5
# A channel is named, too, from half the largest deviation on.  Chosen by hand.
_CHANNEL_SHARE: Final = 0.5
# A channel is named, too, from four standard deviations on, however far the largest is.  Chosen by
# hand.
_CHANNEL_DEVIATIONS: Final = 4.0


class _Part(Protocol):
    def arrays(self) -> dict[str, NDArray[Any]]: ...


class WindowScorer:
    """Scores a series of one or many channels.  Cost: O(C M) a sample."""

    def __init__(self, task: ScoringTask) -> None:
        channels = task.channels
        self._channels = channels
        self._scale = RobustScale(channels)
        self._memory = WindowMemory(channels)
        self._surprise = [RunningSurprise(channels) for _ in range(2)]
        self._level = LevelShift(channels) if channels > 1 else None
        self._ranks = ScoreRanks(channels)
        self._gate = AlarmGate(task.false_alarms_per_day)
        # Last value of each channel, NaN before the first; lowest and highest value.
        self._last = np.full(channels, np.nan)
        self._range = np.zeros((2, channels))
        self._typical = np.zeros((len(SCALES), channels))
        self._measures = np.zeros((2, channels))

    def step(self, values: Floats, at_ns: int) -> AnomalyScore:
        """See `AnomalyScorer`."""
        if values.shape != (self._channels,):
            raise ValueError(
                f"scoring a sample: expected {self._channels} values, found shape {values.shape}"
            )
        valid = np.abs(values) <= VALUE_MAX
        values = self._fill(values, valid)
        score, scale, by_channel = self._window_score(values, valid)
        lasting = 0.0
        if self._level is not None:
            shifts = self._level.step(values) * valid
            lasting = normal_tail(_JOINT_DEVIATIONS * joined(shifts))
            if lasting > score:
                score, scale, by_channel = lasting, MEAN_STEPS, shifts
        p_value = self._ranks.step(score)
        limit, alarm, raised = self._gate.step(score, at_ns)
        if self._level is not None:
            self._level.learn(values, alarm=lasting >= limit)
        surprising = score >= CLEAR_SHARE * limit
        return AnomalyScore(
            p_value=p_value,
            score=score,
            limit=limit,
            channels=_named(by_channel) if surprising else (),
            scale=scale if surprising else 0,
            alarm=alarm,
            raised=raised,
        )

    def _fill(self, values: Floats, valid: NDArray[np.bool_]) -> Floats:
        """Return the sample with the last value of each channel where none arrived, 0 before the
        first."""
        new = valid & np.isnan(self._last)
        if new.any():
            self._scale.begin(new, values)
            self._range[:, new] = values[new]
            if self._level is not None and self._memory.count:
                self._level = LevelShift(self._channels)
        self._last[valid] = values[valid]
        filled: Floats = np.where(np.isnan(self._last), 0.0, self._last)
        return filled

    def _window_score(self, values: Floats, valid: NDArray[np.bool_]) -> tuple[float, int, Floats]:
        """Return the score of the windows and the range, its scale, and deviations by channel."""
        distances = self._memory.step(self._scale.encode(values))
        np.add.reduce(distances, 0, out=self._measures[_DISTANCE])
        self._measures[_DISTANCE] *= 1.0 / CODES_PER_UNIT
        self._exceed(values)
        deviations = np.zeros_like(self._measures)
        if self._memory.ready:
            deviations[_DISTANCE] = self._surprise[_DISTANCE].step(self._measures[_DISTANCE])
        deviations[_RANGE] = self._surprise[_RANGE].step(self._measures[_RANGE])
        deviations *= valid
        self._typical += _SCALE_RATE * (distances - self._typical)
        kind, score, by_channel = _most_surprising(deviations)
        channel, scale = int(by_channel.argmax()), 1
        if kind == _DISTANCE:
            ratios = distances[:, channel] / (self._typical[:, channel] + _TINY)
            scale = SCALES[int(ratios.argmax())]
        return score, scale, by_channel

    def _exceed(self, values: Floats) -> None:
        """Measure the excess beyond the running range, in ranges."""
        low, high = self._range
        excess = np.maximum(values - high, low - values)
        np.maximum(excess, 0.0, out=excess)
        excess /= np.maximum(high - low, _TINY)
        self._measures[_RANGE] = excess if self._memory.count > _RANGE_STEPS else 0.0
        np.minimum(low, values, out=low)
        np.maximum(high, values, out=high)

    def state(self) -> State:
        """Return everything learned: the arrays of each part, by its name."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def _arrays(self) -> dict[str, NDArray[Any]]:
        parts: dict[str, _Part] = {
            "scale": self._scale,
            "distance": self._surprise[_DISTANCE],
            "excess": self._surprise[_RANGE],
            "ranks": self._ranks,
            "gate": self._gate,
        }
        if self._level is not None:
            parts["level"] = self._level
        own = {"last": self._last, "range": self._range, "typical": self._typical}
        own |= {f"memory/{name}": array for name, array in self._memory.arrays().items()}
        for prefix, part in parts.items():
            own |= {f"{prefix}/{name}": array for name, array in part.arrays().items()}
        return own

    def restore(self, state: State) -> None:
        """Continue from a state.  Raises ValueError and changes nothing for another scorer's."""
        arrays = self._arrays()
        # Version 1 did not count samples for p-values: they start from those of other series.
        state = {_RANKS: np.zeros_like(arrays[_RANKS]), **state}
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != {name: np.shape(array) for name, array in state.items()}:
            raise ValueError(
                f"restoring an anomaly scorer: expected the arrays {sorted(shapes)} of the same"
                f" channels, found the state of another scorer, {sorted(state)}"
            )
        for name, array in arrays.items():
            array[...] = state[name]
        self._memory.restore({"codes": state["memory/codes"], "count": state["memory/count"]})
        if self._level is not None:
            self._level.refresh()


def _most_surprising(deviations: Floats) -> tuple[int, float, Floats]:
    """Return which measure surprises most, its score and its deviations by channel.

    Of several channels the second most deviating one counts, divided by the number of disjoint
    pairs (Bonferroni): a fault of a plant moves at least two of its quantities, and single ones
    leave their range often.  The most deviating one counts by its distance only, divided by the
    number of channels.
    """
    channels = deviations.shape[1]
    if channels == 1:
        kind = int(deviations[:, 0].argmax())
        return kind, normal_tail(float(deviations[kind, 0])), deviations[kind]
    ordered = np.sort(deviations, axis=1)
    kind = int(ordered[:, -2].argmax())
    score = normal_tail(float(ordered[kind, -2])) / (channels // 2)
    alone = normal_tail(float(ordered[_DISTANCE, -1])) / channels
    if alone > score:
        return _DISTANCE, alone, deviations[_DISTANCE]
    return kind, score, deviations[kind]


def _named(by_channel: Floats) -> tuple[int, ...]:
    """Return the surprising channels, the most surprising first."""
    order = np.argsort(-by_channel, kind="stable")
    least = min(_CHANNEL_SHARE * by_channel[order[0]], _CHANNEL_DEVIATIONS)
    return tuple(int(channel) for channel in order if by_channel[channel] >= least)
