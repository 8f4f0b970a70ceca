"""The sections [streams.NAME] of auricle.toml: the source of each stream.

docs/reference/sources.md documents every key.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..core import TEXT_CHARS_MAX, find_invalid_columns

Format = Literal["image", "json", "cbor", "raw"]
Dtype = Literal["float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32"]
Size = Annotated[int, Meta(ge=1, le=1 << 24)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Name = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)]
Rate = Annotated[float, Meta(ge=0, le=1e6)]


class StreamBase(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="source"
):
    """The keys of every stream.  rate_max: accepted measurements a second; 0: no limit."""

    home: str = ""
    kind: Literal["sample", "series"] = "sample"
    subject: str = ""
    rate_max: Rate = 0.0


class ColumnStream(StreamBase, frozen=True, kw_only=True):
    """The keys of streams whose values may have names.

    columns: names of the values to use, in order; a dotted name selects from nested objects.  A
    list without names is matched by position.
    """

    columns: Annotated[tuple[Name, ...], Meta(max_length=4_096)] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for invalid column names."""
        wrong = find_invalid_columns(self.columns, len(self.columns))
        if wrong:
            raise ValueError(f"columns: {wrong}")


class SentStream(ColumnStream, frozen=True, kw_only=True):
    """The keys of streams that receive pushed bytes.  dtype, shape: of the format raw."""

    format: Format = "json"
    dtype: Dtype = "float32"
    shape: tuple[Size, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for conflicting values."""
        ColumnStream.__post_init__(self)
        if self.columns and self.format == "image":
            raise ValueError("an image has no columns: format is json, cbor or raw")
        if len(self.shape) > 3:
            raise ValueError(f"shape has at most 3 sizes, found {len(self.shape)}")
        if self.kind == "series" and self.format == "image":
            raise ValueError("a series is numbers, not images: format is json, cbor or raw")


class TopicStream(SentStream, frozen=True, kw_only=True, tag="topic"):
    """Messages of an MQTT topic; empty: auricle/v1/DEVICE/observe/STREAM."""

    topic: str = ""


class HttpStream(SentStream, frozen=True, kw_only=True, tag="http"):
    """Requests POST /observe/STREAM on loopback."""


class StdinStream(ColumnStream, frozen=True, kw_only=True, tag="stdin"):
    """Lines of standard input: JSON as on a topic, or CSV with or without a header."""

    format: Literal["json", "csv"] = "json"


class FolderStream(ColumnStream, frozen=True, kw_only=True, tag="folder"):
    """Files that appear in a folder: images, or CSV files of vectors or of a series.

    after: whether a file that was read is kept, deleted or moved.  settle_s: how long a file must
    be unchanged before it is read.  every_s: interval of scans.
    """

    path: str
    pattern: str = "*"
    after: Literal["keep", "delete", "move"] = "keep"
    settle_s: Seconds = 0.5
    every_s: Seconds = 0.5


class CameraStream(StreamBase, frozen=True, kw_only=True, tag="camera"):
    """Frames of a camera or a video file (extra `camera`).  device: a V4L2 number, path or URL."""

    device: str = "0"
    every_s: Seconds = 1.0
    loop: bool = False


class SoundStream(StreamBase, frozen=True, kw_only=True, tag="sound"):
    """Windows of a folder of WAV files, or of a microphone (extra `sound`).  Cut as the encoder's
    card defines (`length`, `step`).  device: the microphone; empty for the default one."""

    path: str = ""
    device: str = ""
    rate_hz: Annotated[int, Meta(ge=1_000, le=384_000)] = 16_000
    after: Literal["keep", "delete", "move"] = "keep"
    every_s: Seconds = 0.5


class PortStream(StreamBase, frozen=True, kw_only=True, tag="port"):
    """Readings of a microcontroller (extra `bridge`).  port: serial port, tcp:HOST:PORT, unix:PATH.

    number: of the stream on the device.  alarm_channel: output that is set to 1 while the stream is
    outside the known domains; None for none.
    """

    port: str
    baud: Annotated[int, Meta(ge=300, le=8_000_000)] = 115_200
    number: Annotated[int, Meta(ge=0, le=255)] = 0
    alarm_channel: Annotated[int, Meta(ge=0, le=65_535)] | None = None


StreamSettings = (
    TopicStream | HttpStream | StdinStream | FolderStream | CameraStream | SoundStream | PortStream
)
