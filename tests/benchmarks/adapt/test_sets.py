"""The sets of the benchmark that come from sensors and sounds."""

from __future__ import annotations

import wave

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.adapt.pictures import PICTURES
from benchmarks.adapt.run import run
from benchmarks.adapt.sets import CIRCUITS, SETS, SKAB, WINDOW_S
from benchmarks.ood.sounds import RATE_HZ, read_recording

SECONDS = 200


@pytest.fixture
def circuit(tmp_path):
    """A file of the water circuit: one run of each group, faulty in its second half."""
    random = np.random.default_rng(0)
    parts: dict[str, NDArray[np.generic]] = {}
    for group in CIRCUITS:
        parts[f"{group}__0__v"] = random.normal(size=(SECONDS, 8)).astype(np.float32)
        parts[f"{group}__0__anomaly"] = np.arange(SECONDS) >= SECONDS // 2
    np.savez(tmp_path / SKAB, allow_pickle=False, columns=np.array(["x"] * 8), **parts)
    return tmp_path


def test_windows_of_the_circuit_have_the_state_of_most_of_their_seconds(circuit):
    """Each group is a domain; a window has mean and deviation of eight sensors, and is faulty where
    most of it is."""
    world = SETS["circuit"](circuit, quick=True).world(0)
    assert tuple(world.domains) == CIRCUITS
    count = SECONDS // WINDOW_S
    starts = WINDOW_S * np.arange(count)
    faulty = starts + WINDOW_S / 2 > SECONDS / 2
    for rows in world.domains.values():
        assert rows.features.shape == (count, 16)
        assert np.array_equal(rows.targets, faulty.astype(np.int64))


@pytest.mark.parametrize(("name", "file"), [("pacs", PICTURES), ("circuit", SKAB)])
def test_a_damaged_file_is_named(tmp_path, name, file):
    """A file that is cut off is no traceback: the set is skipped, and the note says which file."""
    (tmp_path / file).write_bytes(b"PK cut off")
    report = run(tmp_path, quick=True, sets=(name,))
    assert report.rows == ()
    assert report.notes[1] == (
        f"{name}: skipped: {tmp_path / file} is no whole archive; copy it again"
    )


def test_a_wav_file_is_read_as_mono_at_the_rate_of_the_encoder(tmp_path):
    """Two channels at half the rate become one at the whole, of the same length in seconds."""
    pytest.importorskip("scipy")
    path = tmp_path / "tone.wav"
    tone = np.sin(2 * np.pi * 200 * np.arange(8_000) / 8_000)
    both = np.rint(np.stack([tone, np.zeros(8_000)], axis=1) * 30_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(both.tobytes())
    samples = read_recording(path)
    assert samples.shape == (RATE_HZ,)
    expected = np.sin(2 * np.pi * 200 * np.arange(RATE_HZ) / RATE_HZ) * 30_000 / 32_768 / 2
    assert np.abs(samples - expected)[100:-100].max() < 0.01
