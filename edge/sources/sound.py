"""Sound: windows of WAV files that appear in a folder, or of a microphone (extra `sound`).

The encoder's card says how long a window is and how far apart two of them start.
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
from .folder import FolderSource
from .measurement import InvalidMeasurement, Measurement, RawPayload
from .polling import PollingPause, UnavailableError

Samples = NDArray[np.float32]

SAMPLE_BYTES: Final = {1: "u1", 2: "<i2", 4: "<i4"}
NS_PER_S: Final = 1_000_000_000


class WavFolderSource:
    """WAV files of a folder, cut into windows.  `live` is False."""

    live = False

    def __init__(
        self, stream: str, settings: SoundStream, card: encoder.Card, base: Path, memory: Path
    ) -> None:
        files = FolderStream(
            path=settings.path,
            pattern="*.wav",
            after=settings.after,
            every_s=settings.every_s,
            subject=settings.subject,
        )
        self._folder = FolderSource(stream, files, base, memory)
        self._rate_hz, self._card = settings.rate_hz, card

    @property
    def problem(self) -> str:
        """See `Reader`."""
        return self._folder.problem

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `Reader`."""
        for found in self._folder.read(pause):
            if isinstance(found, InvalidMeasurement):
                yield found
                continue
            yield from self._windows(found)
            self._folder.taken(found)

    def taken(self, measurement: Measurement) -> None:
        """See `Reader`; a file is put away once all its windows are handed over."""

    def _windows(self, found: Measurement) -> Iterator[Measurement | InvalidMeasurement]:
        samples = read_wav(found.payload, self._rate_hz, self._card.input.size("C"))
        if isinstance(samples, InvalidMeasurement):
            yield msgspec.structs.replace(samples, reason=f"{found.given.id}: {samples.reason}")
            return
        step = self._card.preparation.step or self._card.preparation.length or 1
        for number, window in enumerate(encoder.cut_windows(samples, self._card)):
            begun_ns = (found.given.captured_at_ns or 0) + number * step * NS_PER_S // self._rate_hz
            given = msgspec.structs.replace(
                found.given, id=f"{found.given.id}#{number}", captured_at_ns=begun_ns
            )
            yield replace(found, payload=window.copy(), given=given)


class MicrophoneSource:
    """Windows of what a microphone hears, by PortAudio; `live`."""

    live = True
    problem = ""

    def __init__(self, stream: str, settings: SoundStream, card: encoder.Card) -> None:
        self._stream, self._settings, self._card = stream, settings, card

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `Reader`."""
        length = self._card.preparation.length or 1
        step = min(self._card.preparation.step or length, length)
        channels = self._card.input.size("C")
        heard = np.zeros((0, channels), np.float32)
        with self._opened(channels) as device:
            while not pause.over:
                block, overflowed = device.read(step)
                if overflowed:
                    heard = heard[:0]
                heard = np.concatenate((heard, block))[-length:]
                if len(heard) == length:
                    given = RawPayload(
                        subject=self._settings.subject, captured_at_ns=time.time_ns()
                    )
                    yield Measurement(self._stream, heard.copy(), given)

    def taken(self, measurement: Measurement) -> None:
        """See `Reader`."""

    def _opened(self, channels: int) -> Any:
        try:
            import sounddevice
        except (ImportError, OSError) as error:
            raise UnavailableError(
                f"a microphone needs PortAudio: pip install 'auricle[sound]' ({error})"
            ) from error
        device = self._settings.device or None
        try:
            return sounddevice.InputStream(
                samplerate=self._settings.rate_hz, device=device, channels=channels
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UnavailableError(f"the microphone cannot be opened: {error}") from error


def read_wav(data: bytes, rate_hz: int, channels: int) -> Samples | InvalidMeasurement:
    """Return the samples of a WAV file, float32 [n, channels] from -1 to 1, or why not.

    One channel is the mean of all that are there.  Other rates are refused: resampling well is
    the recorder's or sox's business.
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
            f"{found.nchannels} channels, expected {channels}", "record as many"
        )
    return samples


def _scaled(frames: bytes, width: int, channels: int) -> Samples:
    usable = len(frames) - len(frames) % (width * channels)
    raw = np.frombuffer(frames[:usable], np.uint8)
    if width == 3:
        # Three bytes become the upper three of four.
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        values, width = wide.reshape(-1).view("<i4"), 4
    else:
        values = raw.view(SAMPLE_BYTES[width])
    centred = values.astype(np.float32) - np.float32(128 if width == 1 else 0)
    return (centred / np.float32(1 << (8 * width - 1))).reshape(-1, channels)
