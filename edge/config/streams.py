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
Band = Annotated[float, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]
PollSeconds = Annotated[float, Meta(ge=0.01, le=86_400)]


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


class PlantPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One value of a controller: value = raw * scale + offset, in `unit`.

    deadband, deadband_percent: a change up to it is not reported (OPC UA part 8, section 7.3);
    percent are of `range`, the lowest and the highest value.
    """

    name: Name
    unit: Annotated[str, Meta(max_length=TEXT_CHARS_MAX)] = ""
    scale: float = 1.0
    offset: float = 0.0
    deadband: Band = 0.0
    deadband_percent: Percent = 0.0
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for conflicting values."""
        if self.scale == 0:
            raise ValueError(f"{self.name}: scale is 0, which turns every value into the offset")
        if self.deadband and self.deadband_percent:
            raise ValueError(f"{self.name}: give deadband or deadband_percent, not both")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"{self.name}: range is the lowest and the highest value, in order")


class ModbusRegister(PlantPoint, frozen=True, kw_only=True):
    """A value in the registers or coils of a Modbus device.

    address: as on the wire, from 0.  order: of the words of a value with several registers.
    missing: raw value by which the device reports that it has none.
    """

    address: Annotated[int, Meta(ge=0, le=65_535)]
    table: Literal["holding", "input", "coil", "discrete"] = "holding"
    type: Literal["int16", "uint16", "int32", "uint32", "float32", "float64"] = "int16"
    order: Literal["big", "little"] = "big"
    missing: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for conflicting values."""
        PlantPoint.__post_init__(self)
        if self.deadband_percent and self.range is None:
            raise ValueError(f"{self.name}: deadband_percent needs range")
        if self.address + self.words > 65_536:
            raise ValueError(f"{self.name}: {self.type} at {self.address} ends after 65535")

    @property
    def words(self) -> int:
        """Registers or coils that the value takes."""
        if self.table in {"coil", "discrete"}:
            return 1
        return {"16": 1, "32": 2, "64": 4}[self.type[-2:]]


class OpcUaNode(PlantPoint, frozen=True, kw_only=True):
    """A variable of an OPC UA server.  id: `ns=2;s=Name` or, with the namespace's URI,
    `nsu=http://example.com/plant;s=Name`."""

    id: Annotated[str, Meta(min_length=1, max_length=1_024)]


class PlantStream(StreamBase, frozen=True, kw_only=True):
    """The keys of streams that read controllers.  every_s: between two measurements.  timeout_s:
    for one answer."""

    every_s: PollSeconds = 1.0
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 2.0


class ModbusStream(PlantStream, frozen=True, kw_only=True, tag="modbus"):
    """Registers of a Modbus device (extra `industrial`).

    address: HOST, HOST:PORT, or the path of a serial port for Modbus RTU.  device: the unit id.
    """

    address: Annotated[str, Meta(min_length=1, max_length=1_024)]
    registers: Annotated[tuple[ModbusRegister, ...], Meta(min_length=1, max_length=1_024)]
    device: Annotated[int, Meta(ge=0, le=255)] = 1
    baud: Annotated[int, Meta(ge=300, le=4_000_000)] = 19_200
    parity: Literal["none", "even", "odd"] = "even"
    stop_bits: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        """Raise ValueError for a name that occurs twice."""
        _check_names(tuple(one.name for one in self.registers))


class OpcUaStream(PlantStream, frozen=True, kw_only=True, tag="opcua"):
    """Variables of an OPC UA server (extra `industrial`).

    mode: whether the server reports changes, or is polled.  stale_s: a value whose source time is
    older is missing; 0: no limit.  The password is in a file or an environment variable, never in
    the settings.  certificate, key: of this client, files.  server_certificate: the file that the
    server's certificate must equal; empty: taken from the server.
    """

    url: Annotated[str, Meta(pattern="^opc\\.tcp://[^@]+$", max_length=1_024)]
    nodes: Annotated[tuple[OpcUaNode, ...], Meta(min_length=1, max_length=1_024)]
    mode: Literal["subscribe", "poll"] = "subscribe"
    stale_s: Annotated[float, Meta(ge=0)] = 0.0
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    security: Literal["none", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = (
        "none"
    )
    sign_only: bool = False
    certificate: str = ""
    key: str = ""
    server_certificate: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for conflicting values."""
        _check_names(tuple(one.name for one in self.nodes))
        if self.password_file and self.password_env:
            raise ValueError("give password_file or password_env, not both")
        if bool(self.password_file or self.password_env) != bool(self.username):
            raise ValueError("username and a password come together")
        if (self.security != "none") != bool(self.certificate and self.key):
            raise ValueError("security needs certificate and key, and they need security")


def _check_names(names: tuple[str, ...]) -> None:
    wrong = find_invalid_columns(names, len(names))
    if wrong:
        raise ValueError(f"names: {wrong}")


StreamSettings = (
    TopicStream
    | HttpStream
    | StdinStream
    | FolderStream
    | CameraStream
    | SoundStream
    | PortStream
    | ModbusStream
    | OpcUaStream
)
