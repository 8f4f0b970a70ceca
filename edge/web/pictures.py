"""Raw inputs as pictures that a browser shows: without Pillow and numpy, which the console
does not load.

Files that browsers show pass through unchanged, by their first bytes and never by a name, so that
no text is ever sent as a page.  Pixels (PPM) become PNG.  A window of sound or of sensor values
becomes a PNG with its waveform above its spectrogram: made here and not in the browser, since the
picture has a tenth of the window's bytes, and needs no script.
"""

import re
import struct
import time
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from .spectrogram import ROWS, spectrogram

SIGNATURES: Final = (
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"WEBP", 8, "image/webp"),
    (b"GIF8", 0, "image/gif"),
    (b"BM", 0, "image/bmp"),
)
"""First bytes, their offset, and the type (https://mimesniff.spec.whatwg.org, section 6.1)."""

THUMB_PIXELS: Final = 240
"""Longest side of a tile's pixels: a tile is 160 px wide, on screens of 1.5 device pixels."""

WAVE_WIDTH: Final = 256
"""Pixels of a waveform: as many columns as the spectrogram's 64, four pixels each."""
WAVE_ROWS: Final = 32
"""Pixel rows of one channel's waveform.  Chosen by hand; effect not measured."""
CHANNELS_MAX: Final = 4
"""Channels drawn, one below the other.  Chosen by hand; effect not measured."""

CACHE_BYTES_MAX: Final = 4 << 20
"""Bytes of pictures kept: a tenth of what the console may use; eighty tiles of 50 KB."""
CACHE_AGE_S: Final = 30.0
"""Seconds that a picture is kept: long enough for two people at the same page, short enough that a
forgotten picture is gone when its receipt is read."""

PLATE: Final = (16, 20, 32)
"""Background of a waveform: dark in both themes, as audio editors have it."""
WAVE: Final = (126, 200, 255)
"""The waveform on it: 10.6 to 1 (WCAG asks 3 to 1 for graphics)."""
HEAT: Final = ((16, 20, 32), (74, 30, 108), (165, 44, 96), (237, 105, 37), (252, 255, 164))
"""Five steps of the colour map inferno (matplotlib), from the plate's colour up."""
HEAT_STEPS: Final = 254
"""Levels of the spectrogram: a palette of 256 less the plate and the waveform."""


class Picture(NamedTuple):
    """A picture as a browser takes it."""

    content_type: str
    content: bytes


class Window(NamedTuple):
    """A window of sound or of sensor values: channels of equal length."""

    channels: "tuple[array[float], ...]"

    @property
    def length(self) -> int:
        """Samples of each channel."""
        return len(self.channels[0])


def picture_of(raw: bytes, pixels_max: int = 0) -> Picture | None:
    """Return the picture of a raw input, None if it holds none.  pixels_max: longest side of
    pixels, 0 for all of them; files keep their size."""
    for start, offset, kind in SIGNATURES:
        if raw[offset : offset + len(start)] == start:
            return Picture(kind, raw)
    if raw.startswith(b"P6"):
        return _of_pixels(raw, pixels_max)
    window = window_of(raw)
    return None if window is None else Picture("image/png", draw_window(window))


def window_of(raw: bytes) -> Window | None:
    """Return the window that a file in numpy's format holds, None if it holds none: float32 or
    float64 [n, channels], little-endian, row by row (NEP 1)."""
    if not raw.startswith(b"\x93NUMPY") or len(raw) < 10:
        return None
    wide = raw[6] > 1
    (length,) = struct.unpack_from("<I" if wide else "<H", raw, 8)
    start = (12 if wide else 10) + length
    header = raw[12 if wide else 10 : start].decode("latin-1")
    found = re.search(r"'descr': '<f([48])'.*'fortran_order': False.*\((\d+), (\d+)\)", header)
    if found is None:
        return None
    size, count, channels = (int(one) for one in found.groups())
    if not count or not channels or len(raw) - start != size * count * channels:
        return None
    values = array("f" if size == 4 else "d", raw[start:])
    return Window(tuple(values[one::channels] for one in range(channels)))


def wav_of(window: Window, rate_hz: int) -> bytes:
    """Return a window as a WAV file of 16 bits that a browser plays: its first two channels, scaled
    so that the loudest sample is full."""
    heard = window.channels[:2]
    loudest = max(max(map(abs, one)) for one in heard) or 1.0
    block = 2 * len(heard)
    samples = array("h", bytes(block * window.length))
    for at, one in enumerate(heard):
        samples[at :: len(heard)] = array("h", [_level(value / loudest) for value in one])
    data = samples.tobytes()
    form = struct.pack("<HHIIHH", 1, len(heard), rate_hz, rate_hz * block, block, 16)
    size = struct.pack("<I", len(data))
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + size
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def _level(value: float) -> int:
    # A sample that is not a number is silence.
    return round(32_767 * value) if -1 <= value <= 1 else 0


def draw_window(window: Window) -> bytes:
    """Return a PNG with the waveform of each channel, above the spectrogram of the first."""
    rows: list[bytes] = []
    for one in window.channels[:CHANNELS_MAX]:
        rows += _waveform(one)
    wide = WAVE_WIDTH // len(first) if (first := spectrogram(window.channels[0])) else 1
    for row in range(ROWS - 1, -1, -1) if first else ():
        line = bytes(2 + round(column[row] * (HEAT_STEPS - 1)) for column in first)
        stretched = b"".join(bytes((one,)) * wide for one in line)
        rows.append(stretched.ljust(WAVE_WIDTH, stretched[-1:]))
    return _png(WAVE_WIDTH, rows, palette=_palette())


def _waveform(values: Sequence[float]) -> list[bytes]:
    """Return rows of palette indices: the range of the samples behind each pixel."""
    finite = [one if one - one == 0 else 0.0 for one in values]
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    picture = [bytearray(WAVE_WIDTH) for _ in range(WAVE_ROWS)]
    ends = [at * len(finite) // WAVE_WIDTH for at in range(WAVE_WIDTH + 1)]
    for x, (start, end) in enumerate(pairwise(ends)):
        block = finite[start : max(end, start + 1)] or finite[-1:]
        top = round((high - max(block)) / span * (WAVE_ROWS - 1))
        bottom = round((high - min(block)) / span * (WAVE_ROWS - 1))
        for y in range(top, bottom + 1):
            picture[y][x] = 1
    return [bytes(row) for row in picture]


def _palette() -> bytes:
    colours: list[tuple[int, ...]] = [PLATE, WAVE]
    steps = len(HEAT) - 1
    for at in range(HEAT_STEPS):
        place = at * steps / (HEAT_STEPS - 1)
        first = min(int(place), steps - 1)
        share = place - first
        mixed = (
            round(a + (b - a) * share) for a, b in zip(HEAT[first], HEAT[first + 1], strict=True)
        )
        colours.append(tuple(mixed))
    return b"".join(bytes(one) for one in colours)


def _of_pixels(raw: bytes, pixels_max: int) -> Picture | None:
    """Return a PPM of one byte a colour as PNG, every n-th pixel if it is larger than asked."""
    found = re.match(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s", raw)
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    pixels = memoryview(raw)[found.end() :]
    if not width or not height or len(pixels) != 3 * width * height:
        return None
    every = -(-max(width, height) // pixels_max) if pixels_max else 1
    rows = []
    for y in range(0, height, every):
        line = bytes(pixels[3 * width * y : 3 * width * (y + 1)])
        if every > 1:
            thin = bytearray(3 * (-(-width // every)))
            for colour in range(3):
                thin[colour::3] = line[colour :: 3 * every]
            line = bytes(thin)
        rows.append(line)
    return Picture("image/png", _png(-(-width // every), rows))


def _png(width: int, rows: Sequence[bytes], palette: bytes = b"") -> bytes:
    """Return a PNG file (RFC 2083) of rows of RGB, or of indices of a palette."""
    kind = 3 if palette else 2
    header = struct.pack(">IIBBBBB", width, len(rows), 8, kind, 0, 0, 0)
    # Filter 0 in each row; level 1 is three times as fast as 6 and 4 % larger on photographs.
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    if palette:
        chunks.insert(1, (b"PLTE", palette))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, one) for name, one in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)


class PictureCache:
    """The newest pictures, at most `CACHE_BYTES_MAX` in total and `CACHE_AGE_S` old, in memory.

    clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, ...], tuple[float, Picture]] = OrderedDict()
        self._nbytes = 0

    def get(self, key: tuple[str, ...]) -> Picture | None:
        """Return a kept picture."""
        self._expire()
        found = self._kept.get(key)
        return None if found is None else found[1]

    def put(self, key: tuple[str, ...], picture: Picture) -> None:
        """Keep a picture; the oldest leave beyond the bounds."""
        self._drop(key)
        self._kept[key] = self._clock(), picture
        self._nbytes += len(picture.content)
        while self._nbytes > CACHE_BYTES_MAX:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Drop all pictures, as a forget asks for."""
        self._kept.clear()
        self._nbytes = 0

    def _expire(self) -> None:
        oldest = self._clock() - CACHE_AGE_S
        while self._kept and next(iter(self._kept.values()))[0] < oldest:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, ...]) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._nbytes -= len(found[1].content)
