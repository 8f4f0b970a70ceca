"""The shipped front end for sound, against a plain analysis written here."""

from __future__ import annotations

import numpy as np
import pytest

from encoder import PayloadError, open_model


@pytest.fixture(scope="module")
def model():
    """The shipped front end."""
    with open_model("log_mel") as opened:
        yield opened


def plain_log_mel(samples) -> np.ndarray:
    """Log-mel bands [64, frames], by numpy's FFT."""
    window = np.hanning(513)[:-1]
    starts = range(0, len(samples) - 511, 160)
    frames = np.array([samples[at : at + 512] * window for at in starts])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / window.sum()
    hertz = np.fft.rfftfreq(512, 1 / 16_000)
    mel = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700), 66)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bands = np.zeros((64, 257))
    for number, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
        bands[number] = np.clip(np.minimum(rising, falling), 0, None)
        if bands[number].sum() < 0.5:
            bands[number, np.argmin(np.abs(hertz - middle))] = 1
    return np.asarray(np.log(power @ bands.T + 1e-10).T)


def sounds() -> dict[str, np.ndarray]:
    """A second of noise, of a chirp, and of clicks."""
    time = np.arange(16_000) / 16_000
    clicks = np.zeros(16_000)
    clicks[::1_000] = 1
    noise = np.random.default_rng(1).normal(size=16_000) / 10
    return {"noise": noise, "chirp": np.sin(2 * np.pi * 3_000 * time**2) / 2, "clicks": clicks}


@pytest.mark.parametrize("name", sorted(sounds()))
def test_the_graph_computes_a_log_mel_analysis(model, name):
    """Means, spreads and changes of each band agree with numpy's own transform."""
    samples = sounds()[name]
    bands = plain_log_mel(samples)
    expected = [bands.mean(axis=1), bands.std(axis=1), np.abs(np.diff(bands)).mean(axis=1)]
    found = model.measure([samples.astype(np.float32)])[0].reshape(3, 64)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_nothing_that_a_microphone_gives_is_clipped(model):
    """Silence, full-scale noise and a full-scale square wave lie within the quantiser's range."""
    time = np.arange(16_000) / 16_000
    loud = np.random.default_rng(2).uniform(-1, 1, 16_000)
    square = np.sign(np.sin(2 * np.pi * 1_000 * time))
    rows = model.measure([np.zeros(16_000), loud, square])
    assert not model.card.quantiser.clipped(rows).any()


def test_another_length_is_refused(model):
    """A window is one second."""
    with pytest.raises(PayloadError, match="16000"):
        model.encode(np.zeros(15_999))
