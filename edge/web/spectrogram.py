"""The spectrogram of a window: a short-time Fourier transform in plain Python.

At most `COLUMNS` frames of `FRAME` samples are transformed, whatever the window's length, so that
the cost is bounded: 12 ms on an x86 core.
"""

from cmath import exp, pi
from collections.abc import Sequence
from math import cos, log10
from typing import Final

FRAME: Final = 256
"""Samples of a frame: 16 ms at 16 kHz, as short as syllables and knocks.  A power of two."""
ROWS: Final = FRAME // 4
"""Rows of the spectrogram: two frequencies each, so that a tile is 64 pixels high."""
COLUMNS: Final = 64
"""Frames, spread evenly over the window; a quarter of the tile's pixels."""
RANGE_DB: Final = 60.0
"""Decibels from the darkest to the brightest colour: usual for speech and machines."""

HANN: Final = tuple(0.5 - 0.5 * cos(2 * pi * at / FRAME) for at in range(FRAME))
"""Window function of a frame (von Hann)."""
TWIDDLES: Final = {
    size: tuple(exp(-2j * pi * at / size) for at in range(size // 2))
    for size in (1 << power for power in range(1, FRAME.bit_length()))
}
"""Factors of the transform by size."""


def spectrogram(values: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Return columns of `ROWS` levels from 0 to 1, low frequencies first, relative to the loudest;
    empty for a window shorter than a frame."""
    last = len(values) - FRAME
    if last < 0:
        return ()
    count = min(COLUMNS, 1 + last // (FRAME // 4))
    starts = [at * last // max(count - 1, 1) for at in range(count)]
    frames = [_frame(values, start) for start in starts]
    powers: list[tuple[float, ...]] = []
    for at in range(0, count, 2):
        # Two real frames in one complex transform (Press et al., Numerical Recipes, 12.3).
        second = frames[at + 1] if at + 1 < count else frames[at]
        both = _transform([complex(a, b) for a, b in zip(frames[at], second, strict=True)])
        powers += _split(both)
    return _levels(powers[:count])


def loudest_hz(values: Sequence[float], rate_hz: int) -> float:
    """Return the frequency with the most power, to half a row; 0 for a short or silent window."""
    columns = spectrogram(values)
    if not columns:
        return 0.0
    sums = [sum(column[row] for column in columns) for row in range(ROWS)]
    at = max(range(ROWS), key=sums.__getitem__)
    return (at + 0.5) * rate_hz / (2 * ROWS) if sums[at] else 0.0


def _frame(values: Sequence[float], start: int) -> list[float]:
    frame = [one if one - one == 0 else 0.0 for one in values[start : start + FRAME]]
    mean = sum(frame) / FRAME
    return [(one - mean) * weight for one, weight in zip(frame, HANN, strict=True)]


def _transform(values: list[complex]) -> list[complex]:
    """The discrete Fourier transform (Cooley and Tukey 1965); a power of two values."""
    size = len(values)
    if size == 1:
        return values
    even, odd = _transform(values[::2]), _transform(values[1::2])
    turned = [one * by for one, by in zip(odd, TWIDDLES[size], strict=True)]
    upper = [a + b for a, b in zip(even, turned, strict=True)]
    return upper + [a - b for a, b in zip(even, turned, strict=True)]


def _split(both: list[complex]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the power in each row of the two real frames in a complex transform."""
    first, second = [], []
    for at in range(FRAME // 2):
        here, there = both[at], both[-at].conjugate()
        first.append(abs(here + there) ** 2 / 4)
        second.append(abs(here - there) ** 2 / 4)
    return _rows(first), _rows(second)


def _rows(powers: list[float]) -> tuple[float, ...]:
    return tuple(powers[at] + powers[at + 1] for at in range(0, FRAME // 2, 2))


def _levels(powers: list[tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    loudest = max(max(column) for column in powers)
    if loudest <= 0:
        return tuple((0.0,) * ROWS for _ in powers)
    return tuple(
        tuple(
            max(0.0, 1 + 10 * log10(one / loudest) / RANGE_DB) if one > 0 else 0.0 for one in column
        )
        for column in powers
    )
