"""[streams.NAME]: where each stream's measurements come from.

docs/reference/sources.md has every key.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..core import TEXT_CHARS_MAX, find_invalid_columns

Form = Literal["image", "json", "cbor", "raw"]
Dtype = Literal["float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32"]
Size = Annotated[int, Meta(ge=1, le=1 << 24)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Name = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)]
Rate = Annotated[float, Meta(ge=0, le=1e6)]


class StreamBase(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="source"
):
    """What every stream may say.  rate_max: measurements a second that are taken, 0 for all."""

    home: str = ""
    kind: Literal["sample", "series"] = "sample"
    subject: str = ""
    rate_max: Rate = 0.0


class Named(StreamBase, frozen=True, kw_only=True):
    """Of streams whose numbers may have names.  columns: names of the numbers that are taken, in
    order; a dotted name leads into nested objects.  A list without names takes them by position.
    """

    columns: Annotated[tuple[Name, ...], Meta(max_length=4_096)] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for names that cannot be columns."""
        wrong = find_invalid_columns(self.columns, len(self.columns))
        if wrong:
            raise ValueError(f"columns: {wrong}")


class SentStream(Named, frozen=True, kw_only=True):
    """Of streams whose measurements are sent here as bytes.  dtype, shape: of the form raw."""

    form: Form = "json"
    dtype: Dtype = "float32"
    shape: tuple[Size, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for a combination that cannot be used."""
        Named.__post_init__(self)
        if self.columns and self.form == "image":
            raise ValueError("an image has no columns: form is json, cbor or raw")
        if len(self.shape) > 3:
            raise ValueError(f"shape has at most 3 sizes, found {len(self.shape)}")
        if self.kind == "series" and self.form == "image":
            raise ValueError("a series is numbers, not images: form is json, cbor or raw")


class TopicStream(SentStream, frozen=True, kw_only=True, tag="topic"):
    """Messages of an MQTT topic.  Empty: auricle/v1/DEVICE/observe/STREAM."""

    topic: str = ""


class HttpStream(SentStream, frozen=True, kw_only=True, tag="http"):
    """Requests POST /observe/STREAM on loopback."""


class StdinStream(Named, frozen=True, kw_only=True, tag="stdin"):
    """Lines of standard input: JSON as on a topic, or numbers with commas between, below a header
    or without one (csv)."""

    form: Literal["json", "csv"] = "json"


class FolderStream(Named, frozen=True, kw_only=True, tag="folder"):
    """Files that appear in a folder: images, or tables (.csv) of vectors or of a series.  after:
    what becomes of a file that was taken.

    settle_s: how long a file must not have changed.  every_s: how often the folder is read.
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
    card says (`length`, `step`).  device: of the microphone, empty for the usual one."""

    path: str = ""
    device: str = ""
    rate_hz: Annotated[int, Meta(ge=1_000, le=384_000)] = 16_000
    after: Literal["keep", "delete", "move"] = "keep"
    every_s: Seconds = 0.5


class PortStream(StreamBase, frozen=True, kw_only=True, tag="port"):
    """Readings of a microcontroller (extra `bridge`).  port: serial port, tcp:HOST:PORT, unix:PATH.

    number: of the stream on the device.  alarm_channel: output that is 1 while the stream has left
    known ground, None for none.
    """

    port: str
    baud: Annotated[int, Meta(ge=300, le=8_000_000)] = 115_200
    number: Annotated[int, Meta(ge=0, le=255)] = 0
    alarm_channel: Annotated[int, Meta(ge=0, le=65_535)] | None = None


StreamSettings = (
    TopicStream | HttpStream | StdinStream | FolderStream | CameraStream | SoundStream | PortStream
)
