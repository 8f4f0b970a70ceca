from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import encoder
from edge.config.streams import SoundStream
from edge.sources.factory import SourceContext, open_source
from edge.sources.measurement import InvalidMeasurement
from edge.sources.sound import read_wav
from encoder.testing import tiny_card
from tests.edge.sources.sinks import Kept, wait_for


def samples_of(data: bytes, channels: int) -> Any:
    """The samples of a valid WAV file."""
    return read_wav(data, 16_000, channels)


def wav(values, width: int = 2, rate: int = 16_000) -> bytes:
    """A WAV file of integers [n, channels]."""
    rows = np.asarray(values)
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(rows.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        signed = rows.astype("<i4")
        if width == 1:
            signed = signed + 128
        file.writeframes(signed.astype("<i4").view("u1").reshape(-1, 4)[:, :width].tobytes())
    return data.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_of_samples_is_scaled_to_one(width):
    """The lowest value becomes -1, half of it -0.5, zero 0."""
    full = 1 << (8 * width - 1)
    samples = samples_of(wav([[-full], [-full // 2], [0], [full // 2]], width), 1)
    assert samples[:, 0].tolist() == [-1, -0.5, 0, 0.5]


def test_channels_are_mixed_to_one():
    """One channel is the mean of both; the requested number of channels is unchanged."""
    data = wav([[16_384, 0], [0, 0]])
    assert samples_of(data, 1).tolist() == [[0.25], [0]]
    assert samples_of(data, 2).shape == (2, 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a WAV"),
        (b"RIFF\0\0\0\0WAVE", "not a WAV"),
        (wav([[0]], rate=8_000), "8000 samples"),
        (wav([[0, 0]]), "2 channels"),
    ],
)
def test_an_unusable_recording_gives_a_reason(data, reason):
    """Invalid input gives a reason and a hint instead of an exception."""
    found = read_wav(data, 16_000, 3)
    assert isinstance(found, InvalidMeasurement)
    assert reason in found.reason


def test_a_truncated_file_gives_its_whole_samples():
    """Samples are read up to the last complete one."""
    data = wav([[1], [2], [3]])
    assert isinstance(read_wav(data[:-1], 16_000, 1), np.ndarray | InvalidMeasurement)


def test_a_recording_becomes_windows(tmp_path):
    """A file is cut as the card defines; ids and times are those of the windows, in order."""
    card = tiny_card(tmp_path, kind="window")
    length, step = card.preparation.length or 0, card.preparation.step or 0
    (tmp_path / "in").mkdir()
    rows = np.arange(3 * length * 3).reshape(-1, 3)
    (tmp_path / "in" / "a.wav").write_bytes(wav(rows))
    (tmp_path / "in" / "b.txt").write_text("no sound")
    sink, place = Kept(), SourceContext(tmp_path, tmp_path / "memory", card)
    source = open_source("mic", SoundStream(path="in", every_s=0.01), place, sink)
    assert source is not None
    source.start()
    count = (3 * length - length) // step + 1
    wait_for(lambda: len(sink.measurements) == count)
    source.stop(5)
    first, second = sink.measurements[:2]
    assert first.payload.shape == (length, 3)
    assert second.metadata.id.endswith("#1")
    assert (second.metadata.captured_at_ns or 0) - (
        first.metadata.captured_at_ns or 0
    ) == step * 10**9 // 16_000
    with encoder.open_model(card) as model:
        assert model.encode(first.payload).values.shape == (card.width,)


def test_sound_needs_an_encoder_of_windows(tmp_path):
    """An image encoder is refused before anything starts."""
    card = tiny_card(tmp_path, kind="image")
    with pytest.raises(ValueError, match="windows"):
        open_source("mic", SoundStream(path="in"), SourceContext(tmp_path, tmp_path, card), Kept())


def test_a_missing_microphone_is_reported_and_retried(tmp_path):
    """Without PortAudio or a device the source reports the problem and retries."""
    sink = Kept()
    card = tiny_card(Path(tmp_path), kind="window")
    source = open_source("mic", SoundStream(), SourceContext(tmp_path, tmp_path, card), sink)
    assert source is not None
    source.start()
    wait_for(lambda: source.problem or sink.measurements)
    source.stop(5)
