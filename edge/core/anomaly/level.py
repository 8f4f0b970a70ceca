"""Lasting shifts of several channels against a reference of blocks: the joint score."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .scorer import Floats

MEAN_STEPS: Final = 20
"""Samples whose mean is compared with the reference.  Chosen on half of SKAB among 15 to 30."""
BLOCK_STEPS: Final = 100
"""Samples in a block of the reference: five short means.  Chosen by hand."""
BLOCKS_MAX: Final = 40
"""Blocks in the reference; older ones are dropped.  Chosen by hand; effect not measured."""
BLOCKS_MIN: Final = 4
"""Blocks before scores count: the deviation of held-out blocks needs at least three of them."""
DAMPING: Final = 2.0
"""Power by which a channel whose held-out blocks deviate is damped: drifting temperatures must not
hide the other channels.  Chosen on half of SKAB among 2 to 3."""
# Largest deviation of a block of about five independent means without drift, in standard
# deviations.
_HONEST_DEVIATION: Final = 2.5
# Least noise and least deviation, in standard deviations of the channel: a channel that rests
# during the first blocks must not alarm at its first movement.  Taken from the study on SKAB.
_FLOOR: Final = 0.1
# Least standard deviation as a share of the mean.  Taken from the study on SKAB.
_RELATIVE_FLOOR: Final = 1e-3
JOINED: Final = 2
"""Channels that are joined: a fault of a plant moves at least two of its quantities."""


class LevelShift:
    """Mean of the newest samples against that of the reference, in deviations of held-out blocks.

    A complete block is compared with the blocks before it, then joins the reference.  Blocks in
    alarm do not join, until the alarm has lasted as long as the reference: then the level is as
    well supported as the old one, and the reference starts again.
    """

    def __init__(self, channels: int) -> None:
        # The newest samples, twice, so that those before any place are contiguous.
        self.recent = np.zeros((2 * BLOCK_STEPS, channels))
        # Per block: mean, mean square, largest deviation of a short mean from the earlier blocks,
        # mean square of the short mean about that of a whole block.
        self.blocks = np.zeros((BLOCKS_MAX, 4, channels))
        self.block = np.zeros((4, channels))
        # Samples seen, samples in the block, of these in alarm, blocks in the reference, blocks in
        # alarm since one joined.
        self.counts: NDArray[np.int64] = np.zeros(5, np.int64)
        self._mean = np.zeros(channels)
        self.refresh()

    def step(self, values: Floats) -> Floats:
        """Return the shift of each channel [C]; zeros during the warm-up."""
        seen = int(self.counts[0])
        place = seen % BLOCK_STEPS
        self.recent[place] = self.recent[place + BLOCK_STEPS] = values
        self.counts[0] = seen + 1
        self._mean = self._short_mean(seen)
        if self.counts[3] < BLOCKS_MIN:
            return np.zeros(len(values))
        shift: Floats = np.abs(self._mean - self._centre) / self._limit
        return shift

    def _short_mean(self, last: int) -> Floats:
        end = last % BLOCK_STEPS + BLOCK_STEPS + 1
        mean: Floats = np.add.reduce(self.recent[end - MEAN_STEPS : end], 0)
        mean *= 1.0 / MEAN_STEPS
        return mean

    def learn(self, values: Floats, *, alarm: bool) -> None:
        """Learn the sample that was scored last."""
        _, filled, alarms, _, _ = self.counts.tolist()
        block = self.block
        block[0] += values
        block[1] += values * values
        if filled >= MEAN_STEPS - 1:
            np.maximum(block[2], np.abs(self._mean - self._centre), out=block[2])
            noise = np.add.reduce(self.recent[:BLOCK_STEPS], 0)
            noise *= -1.0 / BLOCK_STEPS
            noise += self._mean
            block[3] += noise * noise
        self.counts[1:3] = filled + 1, alarms + alarm
        if filled + 1 == BLOCK_STEPS:
            self._close()

    def _close(self) -> None:
        _, _, alarms, held, refused = self.counts.tolist()
        block = self.block
        block[:2] /= BLOCK_STEPS
        block[3] /= BLOCK_STEPS - MEAN_STEPS + 1
        if alarms:
            refused += 1
            if refused >= held:
                held, refused = 0, 0
        if not alarms or held == 0:
            if held == BLOCKS_MAX:
                self.blocks[:-1] = self.blocks[1:].copy()
                held -= 1
            self.blocks[held] = block
            held, refused = held + 1, 0
        block[:] = 0.0
        self.counts[1:] = 0, 0, held, refused
        self.refresh()

    def refresh(self) -> None:
        """Derive centre and limits from the arrays."""
        held = int(self.counts[3])
        means, squares, deviations, noises = self.blocks[: max(held, 1)].swapaxes(0, 1)
        self._centre = means.mean(axis=0)
        variance = np.maximum(squares.mean(axis=0) - self._centre**2, 0.0)
        spread = np.maximum(np.sqrt(variance), _RELATIVE_FLOOR * np.abs(self._centre) + 1e-6)
        # The first block has nothing before it.
        later = slice(held > 1, max(held, 1))
        deviation = deviations[later].mean(axis=0) / spread + _FLOOR
        noise = np.sqrt(noises[later].mean(axis=0)) / spread + _FLOOR
        honest = _HONEST_DEVIATION * noise
        self._limit = spread * honest * (deviation / honest) ** DAMPING

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that hold everything learned, themselves."""
        return {
            "recent": self.recent,
            "blocks": self.blocks,
            "block": self.block,
            "counts": self.counts,
        }


def joined(shifts: Floats) -> float:
    """Return the root mean square of the two largest shifts of a sample."""
    largest = np.partition(shifts, -JOINED)[-JOINED:]
    return float(np.sqrt((largest * largest).mean()))
