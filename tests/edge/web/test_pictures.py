"""Raw inputs as pictures: what a browser gets, and what it never gets."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge.home.raw_inputs import RawInputs
from edge.web.pictures import (
    CACHE_AGE_S,
    CACHE_BYTES_MAX,
    CHANNELS_MAX,
    WAVE_ROWS,
    WAVE_WIDTH,
    Picture,
    PictureCache,
    picture_of,
    wav_of,
    window_of,
)
from edge.web.spectrogram import ROWS, loudest_hz, spectrogram


def kept(payload: object) -> bytes:
    """What the daemon keeps of a payload."""
    raws = RawInputs()
    raws.add("one", payload)
    return raws.of(("one",))["one"]


def tone(hertz: float, rate_hz: int = 16_000, seconds: float = 1.0) -> Any:
    """A sine as a window of one channel."""
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.sin(2 * np.pi * hertz * times).astype(np.float32)[:, None]


def decoded(picture: Picture | None) -> Any:
    """The pixels of a picture, decoded by another program."""
    assert picture is not None
    return np.asarray(Image.open(io.BytesIO(picture.content)).convert("RGB"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_files_that_browsers_show_pass_unchanged(form):
    """An image file keeps its bytes and gets its own type."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 10, 10)).save(file, form)
    picture = picture_of(file.getvalue())
    assert picture == (f"image/{form.lower()}", file.getvalue())


@pytest.mark.parametrize(
    "raw",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"GIF9",
        b"",
        b"P6 2 2 255\n" + bytes(11),
        b"P6 99999 99999 255\n" + bytes(12),
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x01\x00\xff\xff{'descr': '<f4', 'fortran_order': False, 'shape': (9, 1)}",
    ],
)
def test_what_is_no_picture_is_never_sent_as_one(raw):
    """Text, pages, and damaged files give no picture."""
    assert picture_of(raw) is None


def test_pixels_become_a_png_with_the_same_pixels():
    """Pixels of a camera arrive exactly, whatever their shape."""
    pixels = np.random.default_rng(1).integers(0, 255, (37, 51, 3), np.uint8)
    assert (decoded(picture_of(kept(pixels))) == pixels).all()


def test_a_tile_of_pixels_is_small():
    """Large pixels are thinned for a tile, and keep their colours in place."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, 320:, 2] = 255
    small = decoded(picture_of(kept(pixels), 240))
    assert small.shape == (160, 214, 3)
    assert (small[:, 120:, 2] == 255).all()
    assert not small[:, :100].any()


def test_a_window_shows_its_waveform_and_its_frequencies():
    """A tone is a bright line at its frequency, below its waveform."""
    pixels = decoded(picture_of(kept(tone(2_000)))).astype(int).sum(axis=2)
    assert pixels.shape == (WAVE_ROWS + ROWS, WAVE_WIDTH)
    brightest = pixels[WAVE_ROWS:, WAVE_WIDTH // 2].argmax()
    assert abs((ROWS - 1 - brightest) - 2_000 / 8_000 * ROWS) <= 1


def test_the_spectrogram_agrees_with_numpy():
    """The levels are those of numpy's transform of the same frames, in decibels."""
    values = np.random.default_rng(2).standard_normal(256).astype(np.float32)
    (found,) = spectrogram(values.tolist())
    framed = (values - values.mean()) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256))
    power = np.square(np.abs(np.fft.rfft(framed)[:128])).reshape(64, 2).sum(axis=1)
    wanted = np.maximum(0, 1 + 10 * np.log10(power / power.max()) / 60)
    assert np.allclose(found, wanted, atol=1e-5)


def test_the_loudest_frequency_is_that_of_the_tone():
    """A tone of 440 Hz is found within half a row."""
    assert abs(loudest_hz(tone(440)[:, 0].tolist(), 16_000) - 440) <= 63
    assert loudest_hz([0.0] * 16_000, 16_000) == 0.0
    assert loudest_hz([1.0] * 10, 16_000) == 0.0


def test_windows_with_holes_and_many_channels_are_drawn():
    """Values that are not numbers, short windows and many channels give a picture."""
    values = np.random.default_rng(3).standard_normal((90, 9)).astype(np.float32)
    values[5, 0], values[6, 1] = np.nan, np.inf
    pixels = decoded(picture_of(kept(values)))
    assert pixels.shape[0] == CHANNELS_MAX * WAVE_ROWS


def test_a_sound_plays_as_it_was():
    """The WAV file has the window's rate, length and shape, and full loudness."""
    window = window_of(kept(tone(440) * 0.1))
    assert window is not None
    with wave.open(io.BytesIO(wav_of(window, 16_000))) as file:
        assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (16_000, 16_000, 1)
        heard = np.frombuffer(file.readframes(16_000), "<i2")
    assert np.corrcoef(heard, tone(440)[:, 0])[0, 1] > 0.999
    assert heard.max() == 32_767


def test_a_sound_of_holes_is_silence():
    """Values that are not numbers do not end the console."""
    window = window_of(kept(np.full((300, 2), np.nan, np.float32)))
    assert window is not None
    assert not any(wav_of(window, 8_000)[44:])


def test_the_cache_keeps_its_bounds():
    """The oldest pictures leave beyond the bytes, old ones leave by themselves, and all at once."""
    now = [0.0]
    cache = PictureCache(lambda: now[0])
    large = Picture("image/png", bytes(CACHE_BYTES_MAX // 2))
    for name in "abc":
        cache.put((name,), large)
    assert cache.get(("a",)) is None
    assert cache.get(("c",)) is large
    now[0] = CACHE_AGE_S + 1
    assert cache.get(("c",)) is None
    cache.put(("d",), large)
    cache.clear()
    assert cache.get(("d",)) is None
