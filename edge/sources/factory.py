"""Where measurements come from.  Streams of `topic` and `http` are sent to the daemon, which hands
their bytes to `decode`; the others fetch their own, see `open_source`.  What fetches is loaded with
the first stream of its kind: every verb reads the settings, which name the sources.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import encoder

from ..config import (
    CameraStream,
    FolderStream,
    HttpStream,
    PortStream,
    SentStream,
    SoundStream,
    StdinStream,
    StreamSettings,
    TopicStream,
)
from .measurement import InvalidMeasurement, Measurement, RawPayload, Sink, Source
from .payloads import decode_payload, read_properties
from .polling import PollingReader, PollingSource

NAME_CHARS_MAX: Final = 200
"""A file's name may have 255 bytes, with an ending for what is not complete."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source needs to know of its surroundings.

    base: folder that relative paths start from.  memory: folder for what sources remember.
    card: of the encoder that the stream's home uses, None for a series.
    """

    base: Path
    memory: Path
    card: encoder.Card | None


Make = Callable[[str, Any, SourceContext], PollingReader]


def _folder(stream: str, settings: FolderStream, place: SourceContext) -> PollingReader:
    if settings.kind == "series" or (place.card is not None and place.card.kind == "vector"):
        from .rows import CsvFiles

        return CsvFiles(stream, settings, place.base, _memory(stream, place))
    from .folder import FolderSource

    return FolderSource(stream, settings, place.base, _memory(stream, place))


def _stdin(stream: str, settings: StdinStream, _place: SourceContext) -> PollingReader:
    from .stdin import StdinSource

    return StdinSource(stream, settings)


def _camera(stream: str, settings: CameraStream, _place: SourceContext) -> PollingReader:
    from .camera import CameraSource

    return CameraSource(stream, settings)


def _sound(stream: str, settings: SoundStream, place: SourceContext) -> PollingReader:
    from .sound import MicrophoneSource, WavFolderSource

    card = place.card
    if card is None or card.kind != "window":
        raise ValueError("sound needs a home whose encoder takes windows, such as log_mel")
    if settings.path:
        return WavFolderSource(stream, settings, card, place.base, _memory(stream, place))
    return MicrophoneSource(stream, settings, card)


def _port(stream: str, settings: PortStream, place: SourceContext) -> PollingReader:
    from .serial_port import SerialPortSource

    return SerialPortSource(stream, settings, 0 if place.card is None else place.card.width)


def _memory(stream: str, place: SourceContext) -> Path:
    """Return the file that remembers for a stream, whatever and however many characters are in its
    name."""
    name = stream.encode().hex()
    if len(name) > NAME_CHARS_MAX:
        name = hashlib.sha256(stream.encode()).hexdigest()
    return place.memory / f"{name}.json"


PULLED: Final[dict[type, Make]] = {
    FolderStream: _folder,
    StdinStream: _stdin,
    CameraStream: _camera,
    SoundStream: _sound,
    PortStream: _port,
}
"""Kinds of source that fetch: the settings' class, and what makes the reader."""


def open_source(
    stream: str, settings: StreamSettings, place: SourceContext, sink: Sink
) -> Source | None:
    """Return the source of a stream, not started; None for one that is sent its measurements.

    Raises ValueError where its settings do not fit the encoder.
    """
    make = PULLED.get(type(settings))
    return None if make is None else PollingSource(stream, make(stream, settings, place), sink)


__all__ = [
    "PULLED",
    "CameraStream",
    "FolderStream",
    "HttpStream",
    "InvalidMeasurement",
    "Measurement",
    "PollingReader",
    "PollingSource",
    "PortStream",
    "RawPayload",
    "SentStream",
    "Sink",
    "SoundStream",
    "Source",
    "SourceContext",
    "StdinStream",
    "StreamSettings",
    "TopicStream",
    "decode_payload",
    "open_source",
    "read_properties",
]
