"""The sections [device], [http] and [outbox] of auricle.toml."""

import math
import socket
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Level = Literal["debug", "info", "warning", "error"]


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[device]: the device name in topics, the interval of health messages, the log level."""

    name: Annotated[str, Meta(max_length=200)] = ""
    health_interval_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    log_level: Level = "info"

    @property
    def known_as(self) -> str:
        """The name in topics: `name`, or the host name if that is empty."""
        return self.name or socket.gethostname() or "device"


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[http]: address of metrics, liveness, readiness and POST /observe.  Without this section the
    daemon has no HTTP server."""

    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9464
    payload_bytes_max: Annotated[int, Meta(ge=1, le=1 << 28)] = 8 << 20


class OutboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[outbox]: limits on the messages that wait for the broker, and how often they are written to
    disk and replayed."""

    bytes_max: int = 64 << 20
    age_s_max: float = 7 * 86_400.0
    memory_bytes_max: int = 4 << 20
    commit_interval_s: float = 1.0
    commit_count: int = 1_000
    replay_per_s: float = 200.0

    def __post_init__(self) -> None:
        """Raise ValueError for a value that is not positive and finite."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0, found {value}")
