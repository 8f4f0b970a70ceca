"""Sound sources: windows of the WAV files in a folder, or of a microphone (extra `sound`).

The encoder's card gives the length of a window and the step between two windows.
"""

import io
import time
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import encoder

from ..config import FolderStream, SoundStream
from ..extras import install_command
from .folder import FolderSource
from .measurement import (
    InvalidMeasurement,
    Measurement,
    MeasurementMetadata,
    content_id,
    recording_of_file,
    session_recording,
)
from .polling import PollingPause, UnavailableError

Samples = NDArray[np.float32]

SAMPLE_DTYPES: Final = {1: "u1", 2: "<i2", 4: "<i4"}
"""dtype of a PCM sample, by its size in bytes; WAV stores 8-bit samples unsigned."""

NS_PER_S: Final = 1_000_000_000
"""Nanoseconds in a second."""


class WavFolderSource:
    """Cuts the WAV files of a folder into windows.  `live` is False."""

    live = False

    def __init__(
        self, stream: str, settings: SoundStream, card: encoder.Card, base: Path, state: Path
    ) -> None:
        files = FolderStream(
            path=settings.path,
            pattern="*.wav",
            after=settings.after,
            every_s=settings.every_s,
            subject=settings.subject,
        )
        self._folder = FolderSource(stream, files, base, state)
        self._stream = stream
        self._rate_hz, self._card = settings.rate_hz, card

    @property
    def problem(self) -> str:
        """See `PollingReader`."""
        return self._folder.problem

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        for found in self._folder.read(pause):
            if isinstance(found, InvalidMeasurement):
                yield found
                continue
            yield from self._windows(found)
            self._folder.delivered(found)

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`; a file is disposed of after its last window."""

    def _windows(self, found: Measurement) -> Iterator[Measurement | InvalidMeasurement]:
        samples = read_wav(found.payload, self._rate_hz, self._card.input.size("C"))
        if isinstance(samples, InvalidMeasurement):
            yield msgspec.structs.replace(samples, reason=f"{found.metadata.id}: {samples.reason}")
            return
        name = found.metadata.id.removeprefix(f"{self._stream}:").rpartition("@")[0]
        recording = recording_of_file(name, content_id(found.payload))
        step = self._card.preparation.step or self._card.preparation.length or 1
        for number, window in enumerate(encoder.cut_windows(samples, self._card)):
            start_ns = (
                found.metadata.captured_at_ns or 0
            ) + number * step * NS_PER_S // self._rate_hz
            metadata = msgspec.structs.replace(
                found.metadata,
                id=f"{found.metadata.id}#{number}",
                captured_at_ns=start_ns,
                recording=recording,
            )
            yield replace(found, payload=window.copy(), metadata=metadata)


class MicrophoneSource:
    """Cuts the signal of a microphone into windows, by PortAudio; `live`."""

    live = True
    problem = ""

    def __init__(self, stream: str, settings: SoundStream, card: encoder.Card) -> None:
        self._stream, self._settings, self._card = stream, settings, card

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        length = self._card.preparation.length or 1
        step = min(self._card.preparation.step or length, length)
        channels = self._card.input.size("C")
        samples, session_ns = np.zeros((0, channels), np.float32), time.time_ns()
        with self._open(channels) as device:
            while not pause.stopped:
                block, overflowed = device.read(step)
                if overflowed:
                    samples = samples[:0]
                samples = np.concatenate((samples, block))[-length:]
                if len(samples) == length:
                    at_ns = time.time_ns()
                    metadata = MeasurementMetadata(
                        subject=self._settings.subject,
                        captured_at_ns=at_ns,
                        recording=session_recording(self._stream, session_ns, at_ns),
                    )
                    yield Measurement(self._stream, samples.copy(), metadata)

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`."""

    def _open(self, channels: int) -> Any:
        try:
            import sounddevice
        except (ImportError, OSError) as error:
            raise UnavailableError(
                f"a microphone needs PortAudio: {install_command('sound')} ({error})"
            ) from error
        device = self._settings.device or None
        try:
            return sounddevice.InputStream(
                samplerate=self._settings.rate_hz, device=device, channels=channels
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UnavailableError(f"the microphone cannot be opened: {error}") from error


def read_wav(data: bytes, rate_hz: int, channels: int) -> Samples | InvalidMeasurement:
    """Return the samples of a WAV file, float32 [n, channels] in [-1, 1], or why it is invalid.

    For one channel, the mean of all channels in the file.  Other rates are refused: a recorder or
    sox resamples better.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            found = file.getparams()
            frames = file.readframes(found.nframes)
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:
        return InvalidMeasurement(
            f"it is not a WAV file of plain samples: {error}", "write PCM of 16 bits"
        )
    if found.framerate != rate_hz:
        return InvalidMeasurement(
            f"{found.framerate} samples a second, expected {rate_hz}",
            f"record at {rate_hz}, or convert: sox IN.wav -r {rate_hz} OUT.wav",
        )
    samples = _scaled(frames, found.sampwidth, found.nchannels)
    if channels == 1:
        mixed: Samples = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return mixed
    if found.nchannels != channels:
        return InvalidMeasurement(
            f"{found.nchannels} channels, expected {channels}", f"record {channels} channels"
        )
    return samples


def _scaled(frames: bytes, width: int, channels: int) -> Samples:
    usable = len(frames) - len(frames) % (width * channels)
    raw = np.frombuffer(frames[:usable], np.uint8)
    if width == 3:
        # 24 bits: the upper three of four bytes.
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        values, width = wide.reshape(-1).view("<i4"), 4
    else:
        values = raw.view(SAMPLE_DTYPES[width])
    centred = values.astype(np.float32) - np.float32(128 if width == 1 else 0)
    return (centred / np.float32(1 << (8 * width - 1))).reshape(-1, channels)
