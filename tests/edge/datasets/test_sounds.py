from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest

import encoder
from edge.core.errors import ConfigError
from edge.datasets.class_folders import Example, Skipped
from edge.datasets.sounds import read_sounds
from edge.datasets.tables import read_examples
from edge.sources import content_id
from tests.homes import CARD, run, run_json

CARD_OF_SOUND = encoder.load_card(encoder.SHIPPED["log_mel"])
RATE_HZ = 16_000


def write_tone(path: Path, pitch_hz: float, seconds: float, rate_hz: int = RATE_HZ) -> Path:
    """A WAV file of one tone, with a little noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    at_s = np.arange(int(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(int(pitch_hz)).normal(0, 0.01, len(at_s))
    samples = (np.sin(2 * np.pi * pitch_hz * at_s) / 2 + noise) * 30_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    os.utime(path, ns=(10**18, 10**18))
    return path


def test_a_recording_gives_an_example_for_each_window(tmp_path):
    """Windows have ids of their content, labels of their folder, and times of their start."""
    write_tone(tmp_path / "hall" / "low" / "a.wav", 300, 2.0)
    found = read_examples(tmp_path, CARD_OF_SOUND)
    assert found.layout == "1 as <domain>/<label>/<sound>"
    assert found.total is None
    items = [item for item in found if isinstance(item, Example)]
    assert [(item.domain, item.label) for item in items] == [("hall", "low")] * 3
    assert [item.captured_at_ns - 10**18 for item in items] == [0, 500_000_000, 1_000_000_000]
    assert [item.id for item in items] == [content_id(i.payload.tobytes()) for i in items]
    assert items[2].source.endswith("a.wav#2")
    content = content_id((tmp_path / "hall" / "low" / "a.wav").read_bytes())
    assert {item.recording for item in items} == {f"a.wav#{content[:8]}"}
    assert {item.timed_by for item in items} == {"file times"}
    assert items[0].payload.shape == (16_000, 1)


@pytest.mark.parametrize(
    ("seconds", "rate_hz", "words"),
    [(0.5, RATE_HZ, "shorter than a window of 16000"), (2.0, 44_100, "sox IN.wav -r 16000")],
)
def test_a_recording_that_does_not_fit_is_skipped_with_its_reason(
    tmp_path, seconds, rate_hz, words
):
    """Too short files and files of another rate are skipped with a reason."""
    path = write_tone(tmp_path / "a.wav", 300, seconds, rate_hz)
    (item,) = read_examples(path, CARD_OF_SOUND)
    assert isinstance(item, Skipped)
    assert words in item.reason


def test_another_sampling_rate_can_be_given(tmp_path):
    """Sounds of another sample rate are read with `rate_hz`."""
    path = write_tone(tmp_path / "a.wav", 300, 1.0, 48_000)
    assert len(list(read_examples(path, CARD_OF_SOUND, 48_000))) == 5


def test_each_encoder_names_its_inputs(tmp_path):
    """Images are no sounds for an encoder of sounds, nor the other way round; one of vectors takes
    tables alone."""
    write_tone(tmp_path / "low" / "a.wav", 300, 1.0)
    (tmp_path / "low" / "b.png").write_bytes(b"x")
    sound = [
        item.source[-5:]
        for item in read_examples(tmp_path, CARD_OF_SOUND)
        if isinstance(item, Skipped)
    ]
    image = [item.source[-5:] for item in read_examples(tmp_path) if isinstance(item, Skipped)]
    assert (sound, image) == (["b.png"], ["a.wav"])
    with pytest.raises(ConfigError, match="expected a table") as caught:
        read_examples(tmp_path, CARD)
    assert "a .csv of numbers" in caught.value.hint


def test_the_form_of_sounds_takes_wav_files_alone():
    """Other formats are skipped by their name."""
    assert read_sounds(CARD_OF_SOUND).suffixes == {".wav"}


def test_a_home_that_hears_learns_and_knows_sounds(tmp_path):
    """`auricle learn` and `predict` take folders of WAV files by class."""
    home, data = tmp_path / "ears", tmp_path / "data"
    assert run("init", home, "--encoder", "log_mel").exit_code == 0
    for label, pitch_hz in (("low", 300), ("high", 3_000)):
        for number in range(3):
            write_tone(data / label / f"{number}.wav", pitch_hz + 10 * number, 4.0)
    assert len(run_json("learn", data, "--home", home)["skipped"]) == 0
    fresh = write_tone(tmp_path / "fresh.wav", 3_005, 1.0)
    assert run_json("predict", fresh, "--home", home)["outcome"]["guess"] == "high"
