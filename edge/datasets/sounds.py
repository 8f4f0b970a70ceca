"""Read examples from WAV files: one for each window that the encoder card defines."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import encoder

from ..sources import NS_PER_S, InvalidMeasurement, content_id, read_wav, recording_of_file
from .class_folders import Example, Form, Skipped

RATE_HZ: Final = 16_000
"""Default samples per second: the rate of the shipped encoder `log_mel`."""


def read_sounds(card: encoder.Card, rate_hz: int = RATE_HZ) -> Form:
    """Return the form of WAV files for a window encoder.  rate_hz: the sample rate they must
    have."""
    return Form("sound", frozenset({".wav"}), partial(_windows, card=card, rate_hz=rate_hz))


def _windows(whole: Example, card: encoder.Card, rate_hz: int) -> Iterator[Example | Skipped]:
    """Yield the windows of a sound file, which is one recording.  Ids are hashes of the content, as
    for images.  A window's time of capture is that of the file plus its offset."""
    samples = read_wav(whole.payload, rate_hz, card.input.size("C"))
    if isinstance(samples, InvalidMeasurement):
        yield Skipped(whole.source, f"{samples.reason}; {samples.hint}")
        return
    length = card.preparation.length or 1
    step = card.preparation.step or length
    if len(samples) < length:
        yield Skipped(whole.source, f"{len(samples)} samples, shorter than a window of {length}")
    recording = recording_of_file(whole.source, whole.id)
    for number, window in enumerate(encoder.cut_windows(samples, card)):
        yield replace(
            whole,
            id=content_id(window.tobytes()),
            payload=window,
            recording=recording,
            captured_at_ns=whole.captured_at_ns + number * step * NS_PER_S // rate_hz,
            source=f"{whole.source}#{number}",
        )
