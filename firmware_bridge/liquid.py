"""The integer reference of the liquid forecaster: one step of a closed-form cell in whole numbers.

Weights have 8 bits with a scale a row, the state 16 (Q15), inputs 16 (Q11), tanh is a table of 256
steps.  Written from this arithmetic and not from the C source, so that the two can disagree.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .export import Ints

STATE_ONE: Final = 1 << 15
INPUT_ONE: Final = 1 << 11
AHEAD_ONE: Final = 1 << 12
"""What stands for 1 in the state, in inputs (which reach from -16 to 16) and in forecasts."""
GAIN_SHIFT: Final = 31
TABLE_STEPS: Final = 256
TABLE_END: Final = 8
"""tanh is tabled from 0 to 8; beyond it is one."""
TANH: Final[Ints] = np.rint(
    np.tanh(np.arange(TABLE_STEPS + 1) * (TABLE_END / TABLE_STEPS)) * (STATE_ONE - 1)
).astype(np.int64)

_INPUT_SHIFT: Final = 4
_FINE_BITS: Final = 7
_INT32_MAX: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True, eq=False)
class LiquidRows:
    """A layer: weights int8 [rows, columns], bias int64 [rows] in units of weight times Q15, gain
    int64 [rows], what a unit of that is in Q12, times 2^31."""

    weights: NDArray[np.int8]
    bias: Ints
    gain: Ints


@dataclass(frozen=True, slots=True, eq=False)
class LiquidPart:
    """A cell and its readout.

    cell: 3 * units rows (first head, second head, half the gate) over inputs and then state.
    readout: a row a horizon over the state.  horizons: steps ahead.
    """

    inputs: int
    units: int
    horizons: tuple[int, ...]
    cell: LiquidRows
    readout: LiquidRows


def step_liquid(part: LiquidPart, state: Ints, inputs: Ints) -> tuple[Ints, Ints]:
    """Step channels: state int64 [channels, units] in Q15, inputs int64 [channels, inputs] in Q11.

    Returns the new state and, in Q12, the forecasts [channels, horizons]: ways from the last value
    in units of the channel's usual movement times the root of the steps.
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
    """Inputs as whole numbers in Q11, cut to 16 bits."""
    whole = np.rint(np.asarray(inputs, np.float64) * INPUT_ONE)
    return np.asarray(np.clip(whole, -STATE_ONE, STATE_ONE - 1).astype(np.int64))


def _scaled(summed: Ints, gain: Ints) -> Ints:
    made = (summed * gain + (1 << GAIN_SHIFT - 1)) >> GAIN_SHIFT
    return np.asarray(np.clip(made, -_INT32_MAX - 1, _INT32_MAX))


def _tanh(values: Ints) -> Ints:
    """Tanh of Q12 in Q15, straight lines between the steps of the table."""
    size = np.minimum(np.abs(values), (TABLE_STEPS << _FINE_BITS) - 1)
    place, fine = size >> _FINE_BITS, size & (1 << _FINE_BITS) - 1
    rise = (TANH[place + 1] - TANH[place]) * fine
    made = TANH[place] + ((rise + (1 << _FINE_BITS - 1)) >> _FINE_BITS)
    return np.asarray(np.where(values < 0, -made, made))
