"""The sections [device] and [http] of auricle.toml."""

import socket
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Level = Literal["debug", "info", "warning", "error"]


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[device]: the name in topics (empty: the host's), and what it says of itself."""

    name: Annotated[str, Meta(max_length=200)] = ""
    health_interval_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    log_level: Level = "info"

    @property
    def known_as(self) -> str:
        """The name in topics."""
        return self.name or socket.gethostname() or "device"


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[http]: metrics, liveness, readiness and POST /observe, where this section is given."""

    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9464
    payload_bytes_max: Annotated[int, Meta(ge=1, le=1 << 28)] = 8 << 20
