"""The reference evaluator of the liquid forecaster: one step of a closed-form continuous-time cell
in integers.

Weights have 8 bits with a scale per row, states 16 bits (Q15), inputs 16 bits (Q11); tanh is a
table of 256 steps.  Written from this description, independently of the C source, so that tests
compare separate implementations.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .export import Ints

STATE_ONE: Final = 1 << 15  # 1 in states: Q15 in int16
INPUT_ONE: Final = 1 << 11  # 1 in inputs: Q11 in int16, which reaches from -16 to 16
AHEAD_ONE: Final = 1 << 12  # 1 in forecasts and before tanh: Q12
GAIN_SHIFT: Final = 31  # row gains as fractions of 2^31: the full precision of an int32
TABLE_STEPS: Final = 256  # 1/32 a step: linear interpolation is right to 1e-4, 3 units of Q15
TABLE_END: Final = 8  # from 8 on, tanh is 1 in Q15
TANH: Final[Ints] = np.rint(
    np.tanh(np.arange(TABLE_STEPS + 1) * (TABLE_END / TABLE_STEPS)) * (STATE_ONE - 1)
).astype(np.int64)

_INPUT_SHIFT: Final = 4  # from Q11 to Q15
_FINE_BITS: Final = 7  # Q12 has 128 units in a step of 1/32
_INT32_MAX: Final = (1 << 31) - 1  # C clips here, so that no sum overflows


@dataclass(frozen=True, slots=True, eq=False)
class LiquidRows:
    """A layer: weights int8 [rows, columns], bias int64 [rows] in units of weight times Q15, gain
    int64 [rows], the value of that unit in Q12, times 2^31."""

    weights: NDArray[np.int8]
    bias: Ints
    gain: Ints


@dataclass(frozen=True, slots=True, eq=False)
class LiquidPart:
    """A cell and its readout.

    cell: 3 * units rows (first head, second head, half the gate) over inputs and then state.
    readout: a row per horizon over the state.  horizons: steps ahead.
    """

    inputs: int
    units: int
    horizons: tuple[int, ...]
    cell: LiquidRows
    readout: LiquidRows


def step_liquid(part: LiquidPart, state: Ints, inputs: Ints) -> tuple[Ints, Ints]:
    """Step channels: state int64 [channels, units] in Q15, inputs int64 [channels, inputs] in Q11.

    Returns the new state and, in Q12, the forecasts [channels, horizons]: movements from the last
    value in units of the channel's mean movement per step times the root of the steps.
    """
    weights = part.cell.weights.astype(np.int64)
    summed = (inputs @ weights[:, : part.inputs].T) << _INPUT_SHIFT
    summed += state @ weights[:, part.inputs :].T + part.cell.bias
    first, second, gate = np.split(_tanh(_scaled(summed, part.cell.gain)), 3, axis=1)
    share = (STATE_ONE + gate) >> 1
    mixed = first + (((second - first) * share + (1 << 14)) >> 15)
    ahead = mixed @ part.readout.weights.astype(np.int64).T + part.readout.bias
    return mixed, _scaled(ahead, part.readout.gain)


def to_fixed(inputs: NDArray[np.floating]) -> Ints:
    """Convert inputs to Q11, clipped to 16 bits."""
    whole = np.rint(np.asarray(inputs, np.float64) * INPUT_ONE)
    return np.asarray(np.clip(whole, -STATE_ONE, STATE_ONE - 1).astype(np.int64))


def _scaled(summed: Ints, gain: Ints) -> Ints:
    made = (summed * gain + (1 << GAIN_SHIFT - 1)) >> GAIN_SHIFT
    return np.asarray(np.clip(made, -_INT32_MAX - 1, _INT32_MAX))


def _tanh(values: Ints) -> Ints:
    """Compute tanh of Q12 in Q15 by linear interpolation of the table."""
    size = np.minimum(np.abs(values), (TABLE_STEPS << _FINE_BITS) - 1)
    place, fine = size >> _FINE_BITS, size & (1 << _FINE_BITS) - 1
    rise = (TANH[place + 1] - TANH[place]) * fine
    made = TANH[place] + ((rise + (1 << _FINE_BITS - 1)) >> _FINE_BITS)
    return np.asarray(np.where(values < 0, -made, made))
