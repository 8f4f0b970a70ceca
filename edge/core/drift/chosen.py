"""A detector that is chosen by the data: segments for levels with noise, joint jumps otherwise."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedChange, Floats, State
from .joint_jump import JointJump
from .regimes import Regimes
from .segments import SegmentEvidence

CHOICE_STEPS: Final = 128
"""Samples after which the detector is chosen.  In windows of 64, 33 instead of 14 % of the hourly
weather's look like levels with noise; in windows of 256, 77 instead of 93 % of SKAB's, since they
contain changes."""
NOISY_MIN: Final = 0.8
"""Ratio of von Neumann (1941, "Distribution of the ratio of the mean square successive difference
to the variance", Annals of Mathematical Statistics 12) from which a series is levels with noise: 2
for independent values, 0.8 if neighbours correlate by 0.6.  Of windows of 128 samples 93 % of
SKAB's reach it, 14 % of the hourly weather's, none of ETTh1, ELEC2 and weather stations (`python -m
benchmarks forecast`)."""
KEPT_SHARE: Final = 0.9
"""Share of the steps, and of the distances from the median, that count: the largest are glitches.
Independent normal values keep a ratio of 2."""
VALUES_MIN: Final = 32
"""Values that a channel must have had to count.  Chosen by hand."""

# Squares of larger values could overflow a float; such values count as missing.
_HUGE: Final = 1e150


class ChosenDetector:
    """Reports what `joint` reports, and after 128 samples what `segments` does, if the series is
    levels with noise.

    On such series `joint` misses what moves by less than six usual steps; on smooth ones, such as
    daily cycles, `segments` reports their turns.  The measure is the mean squared step of a channel
    over its variance, both without the largest tenth, in the median over the channels that vary.
    Changes in the first 128 samples that `joint` misses are reported after them, with the place
    where they began.  Cost: that of the chosen kind, and until then of `joint` and 0.1 ms.
    """

    def __init__(self, channels: int) -> None:
        regimes = Regimes(channels)  # states keep their numbers when the kind is chosen
        self._kinds: dict[str, JointJump | SegmentEvidence] = {
            "joint": JointJump(channels, regimes),
            "segments": SegmentEvidence(channels, regimes),
        }
        self._channels = channels
        # Samples seen, and where the newest change began; the newest samples until the choice.
        self._arrays: dict[str, NDArray[Any]] = {
            "counts": np.zeros(2, np.int64),
            "newest": np.full((CHOICE_STEPS, channels), np.nan),
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
        segments.watch(values)
        counts, newest = self._arrays["counts"], self._arrays["newest"]
        newest[:-1] = newest[1:]
        newest[-1] = np.where(np.abs(values) < _HUGE, values, np.nan)
        counts[0] += 1
        if found:
            # In samples of this detector: a restored `joint` has counted from before.
            counts[1] = counts[0] - 1 - (found[-1].step - found[-1].start)
        if counts[0] >= CHOICE_STEPS:
            self._choose()
            # A change that was reported is not found again.
            segments.begin(int(counts[1]))
        return found

    def _choose(self) -> None:
        """Choose the kind, unless no channel has varied yet."""
        ratios = sorted(filter(None, map(_ratio, self._arrays["newest"].T)))
        if ratios:
            # Of an even number the lower one: half of the channels make no noisy series.
            noisy = ratios[(len(ratios) - 1) // 2] >= NOISY_MIN
            del self._kinds["joint" if noisy else "segments"]
            del self._arrays["newest"]

    def state(self) -> State:
        """Return copies of the arrays, of both kinds until one is chosen."""
        made = {name: array.copy() for name, array in self._arrays.items()}
        for kind, one in self._kinds.items():
            made |= {f"{kind}/{name}": array for name, array in one.state().items()}
        return made

    def restore(self, state: State) -> None:
        """Copy the arrays from a state, also from one of `joint`: the choice then follows after
        128 samples more.  Raises ValueError and changes nothing where names or shapes differ."""
        fresh = ChosenDetector(self._channels)
        joint = fresh._kinds["joint"]
        if state.keys() == joint.state().keys():
            joint.restore(state)
            self._arrays, self._kinds = fresh._arrays, fresh._kinds
            return
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for name, array in state.items():
            kind, slash, own = name.partition("/")
            parts.setdefault(kind if slash else "", {})[own if slash else name] = array
        if "newest" not in parts.get("", {}):
            del fresh._arrays["newest"]
            fresh._kinds = {kind: one for kind, one in fresh._kinds.items() if kind in parts}
        shapes = {name: array.shape for name, array in fresh._arrays.items()}
        found = {name: np.shape(array) for name, array in parts.pop("", {}).items()}
        if shapes != found or parts.keys() != fresh._kinds.keys() or not parts:
            raise ValueError(
                f"restoring a detector: expected the arrays {sorted(shapes)} of the same channels "
                f"and those of a kind, found the state of another detector, {sorted(state)}"
            )
        for kind, one in fresh._kinds.items():
            one.restore(parts[kind])
        for name, array in fresh._arrays.items():
            array[...] = state[name]
        self._arrays, self._kinds = fresh._arrays, fresh._kinds


def _ratio(values: Floats) -> float:
    """Return the mean squared step of one channel over its variance, both without the largest; 0 if
    it hardly has values or does not vary."""
    known = values[~np.isnan(values)]
    if len(known) < VALUES_MIN:
        return 0.0
    steps = np.sort(np.abs(np.diff(known)))
    apart = np.sort(np.abs(known - np.sort(known)[len(known) // 2]))
    moves, spread = (
        float(np.square(part[: math.ceil(KEPT_SHARE * len(part))]).mean())
        for part in (steps, apart)
    )
    return moves / spread if spread > 0 else 0.0
