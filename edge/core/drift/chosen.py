"""A detector that is chosen by the data: segments for levels with noise, joint jumps otherwise."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedChange, Floats, State
from .joint_jump import JointJump
from .regimes import Regimes
from .segments import SegmentEvidence

CHOICE_STEPS: Final = 128
"""Samples after which the detector is chosen.  With 64, half again as many windows of hourly
weather look like levels with noise; with 256, fewer of SKAB do, since they contain changes."""
NOISY_MIN: Final = 1.0
"""Ratio of von Neumann (1941, "Distribution of the ratio of the mean square successive difference
to the variance", Annals of Mathematical Statistics 12) from which a series is levels with noise: 2
for independent values, 1 if neighbours correlate by a half.  Of windows of 128 samples 90 % of
SKAB's exceed it, 13 % of the hourly weather's, none of simulated backbones, ETTh1 and ELEC2."""

# Squares of larger values could overflow a float; such values count as missing.
_HUGE: Final = 1e150


class ChosenDetector:
    """Reports what `joint` reports, and after 128 samples what `segments` does, if the series is
    levels with noise.

    On such series `joint` misses what moves by less than six usual steps; on smooth ones, such as
    daily cycles, `segments` reports their turns.  The measure is the mean squared step of a channel
    over its variance, in the median over the channels that vary.  Changes in the first 128 samples
    that `joint` misses are reported after them, with the place where they began.  Cost: that of the
    chosen kind, and until then of `joint` and 20 µs.
    """

    def __init__(self, channels: int) -> None:
        regimes = Regimes(channels)  # states keep their numbers when the kind is chosen
        self._kinds: dict[str, JointJump | SegmentEvidence] = {
            "joint": JointJump(channels, regimes),
            "segments": SegmentEvidence(channels, regimes),
        }
        # Samples seen, and where the newest change began.
        self._counts = np.zeros(2, np.int64)
        self._last = np.full(channels, np.nan)
        self._first = np.full(channels, np.nan)
        # Of each channel: values and steps seen, sums of values, of squares and of squared steps.
        self._sums = np.zeros((5, channels))
        self._arrays: dict[str, NDArray[Any]] = {
            "counts": self._counts,
            "last": self._last,
            "first": self._first,
            "sums": self._sums,
        }

    @property
    def kind(self) -> str:
        """The chosen kind: `joint` or `segments`, empty until it is chosen."""
        return next(iter(self._kinds)) if len(self._kinds) == 1 else ""

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Update with one sample."""
        if len(self._kinds) == 1:
            (chosen,) = self._kinds.values()
            return chosen.step(values)
        joint, segments = self._kinds["joint"], self._kinds["segments"]
        found = joint.step(values)
        assert isinstance(segments, SegmentEvidence)
        segments.add(values)
        self._measure(values)
        self._counts[0] += 1
        if found:
            self._counts[1] = found[-1].start
        if self._counts[0] >= CHOICE_STEPS:
            self._choose()
            # A change that was reported is not found again.
            segments.begin(int(self._counts[1]))
        return found

    def _measure(self, values: Floats) -> None:
        present = np.abs(values) < _HUGE
        begun = present & np.isnan(self._first)
        self._first[begun] = values[begun]
        above = np.where(present, values - self._first, 0.0)
        beside = present & ~np.isnan(self._last)
        moves = np.where(beside, values - self._last, 0.0)
        self._sums += np.stack([present, beside, above, above * above, moves * moves])
        self._last[:] = np.where(present, values, np.nan)

    def _choose(self) -> None:
        """Choose the kind, unless no channel has varied yet."""
        count, steps, sums, squares, moves = self._sums
        count = np.maximum(count, 1.0)
        variance = squares / count - np.square(sums / count)
        varies = (variance > 0.0) & (moves > 0.0)
        if varies.any():
            ratios = np.sort(moves[varies] / steps[varies] / variance[varies])
            noisy = float(ratios[len(ratios) // 2]) >= NOISY_MIN
            del self._kinds["joint" if noisy else "segments"]

    def state(self) -> State:
        """Return copies of the arrays, of both kinds until one is chosen."""
        made = {name: array.copy() for name, array in self._arrays.items()}
        for kind, one in self._kinds.items():
            made |= {f"{kind}/{name}": array for name, array in one.state().items()}
        return made

    def restore(self, state: State) -> None:
        """Copy the arrays from a state.  Raises ValueError and changes nothing where names or
        shapes differ."""
        fresh = ChosenDetector(len(self._last))
        for kind in list(fresh._kinds):
            part = {
                name.partition("/")[2]: array
                for name, array in state.items()
                if name.partition("/")[0] == kind
            }
            if part:
                fresh._kinds[kind].restore(part)
            else:
                del fresh._kinds[kind]
        own = {name: array for name, array in state.items() if "/" not in name}
        shapes = {name: array.shape for name, array in fresh._arrays.items()}
        if not fresh._kinds or shapes != {name: np.shape(array) for name, array in own.items()}:
            raise ValueError(
                f"restoring a detector: expected the arrays {sorted(shapes)} of the same channels "
                f"and those of a kind, found the state of another detector, {sorted(state)}"
            )
        for name, array in self._arrays.items():
            array[...] = own[name]
        self._kinds = fresh._kinds
