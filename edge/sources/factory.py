"""Opens the source of a stream.

Streams of `topic` and `http` are pushed: the daemon receives their bytes and decodes them.  The
others poll their input.  A polling reader is imported with the first stream of its kind, so that
commands which only read the settings start fast.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

import encoder

from ..config import (
    CameraStream,
    FolderStream,
    ModbusStream,
    OpcUaStream,
    PlantStream,
    PortStream,
    SoundStream,
    StdinStream,
    StreamSettings,
)
from .measurement import Sink, Source
from .polling import PollingReader, PollingSource

if TYPE_CHECKING:
    from .plant import ProbedValue

NAME_CHARS_MAX: Final = 200
"""File names have at most 255 bytes on Linux; this leaves room for a suffix."""


class SourceContext(msgspec.Struct, frozen=True):
    """The context of a source.

    base: folder of relative paths.  state: folder of the sources' own state.  card: of the encoder
    of the stream's home; None for a series.
    """

    base: Path
    state: Path
    card: encoder.Card | None


MakeReader = Callable[[str, Any, SourceContext], PollingReader]


def _folder(stream: str, settings: FolderStream, context: SourceContext) -> PollingReader:
    if settings.kind == "series" or (context.card is not None and context.card.kind == "vector"):
        from .rows import CsvFiles

        return CsvFiles(stream, settings, context.base, _state_file(stream, context))
    from .folder import FolderSource

    return FolderSource(
        stream,
        settings,
        context.base,
        _state_file(stream, context),
        read_time=encoder.capture_time,
    )


def _stdin(stream: str, settings: StdinStream, _context: SourceContext) -> PollingReader:
    from .stdin import StdinSource

    return StdinSource(stream, settings)


def _camera(stream: str, settings: CameraStream, _context: SourceContext) -> PollingReader:
    from .camera import CameraSource

    return CameraSource(stream, settings)


def _sound(stream: str, settings: SoundStream, context: SourceContext) -> PollingReader:
    from .sound import MicrophoneSource, WavFolderSource

    card = context.card
    if card is None or card.kind != "window":
        raise ValueError("sound needs a home whose encoder takes windows, such as log_mel")
    if settings.path:
        return WavFolderSource(stream, settings, card, context.base, _state_file(stream, context))
    return MicrophoneSource(stream, settings, card)


def _port(stream: str, settings: PortStream, context: SourceContext) -> PollingReader:
    from .serial_port import SerialPortSource

    return SerialPortSource(stream, settings, 0 if context.card is None else context.card.width)


def _modbus(stream: str, settings: ModbusStream, _context: SourceContext) -> PollingReader:
    from .modbus import ModbusSource

    return ModbusSource(stream, settings)


def _opcua(stream: str, settings: OpcUaStream, context: SourceContext) -> PollingReader:
    from .opcua import OpcUaSource

    return OpcUaSource(stream, settings, context.base)


def _state_file(stream: str, context: SourceContext) -> Path:
    """Return the state file of a stream; a long name is hashed."""
    name = stream.encode().hex()
    if len(name) > NAME_CHARS_MAX:
        name = hashlib.sha256(stream.encode()).hexdigest()
    return context.state / f"{name}.json"


READERS: Final[dict[type, MakeReader]] = {
    FolderStream: _folder,
    StdinStream: _stdin,
    CameraStream: _camera,
    SoundStream: _sound,
    PortStream: _port,
    ModbusStream: _modbus,
    OpcUaStream: _opcua,
}
"""Makes the reader of each polling kind, by the class of its settings."""


def open_source(
    stream: str, settings: StreamSettings, context: SourceContext, sink: Sink
) -> Source | None:
    """Return the source of a stream, not started; None for a stream that is pushed.

    Raises ValueError if its settings do not fit the encoder.
    """
    make = READERS.get(type(settings))
    return None if make is None else PollingSource(stream, make(stream, settings, context), sink)


def probe_controller(settings: PlantStream, base: Path) -> "list[ProbedValue]":
    """Read every value of a controller once.  base: folder of relative paths.

    Raises UnavailableError.  Cost: bounded by the timeout of the stream for each request.
    """
    if isinstance(settings, ModbusStream):
        from .modbus import ModbusSource

        return ModbusSource("check", settings).probe()
    assert isinstance(settings, OpcUaStream)
    from .opcua import OpcUaSource

    return OpcUaSource("check", settings, base).probe()
