"""The section [mqtt] of auricle.toml, with [mqtt.tls], [mqtt.homeassistant], [mqtt.sparkplug]."""

import re
from typing import Annotated, Final, Literal

import msgspec

SECONDS_MAX: Final = 0xFFFFFFFF
"""MQTT intervals are four-byte integers (MQTT 5.0, section 1.5.3)."""

CONSOLE: Final = re.compile(
    r"(?:https?|homeassistant)://[\w.-]+(?::\d{1,5})?(?:/[!-~]*)?", re.ASCII
)
"""Addresses that Home Assistant accepts as a device's configuration_url."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Interval = Annotated[int, msgspec.Meta(ge=0, le=SECONDS_MAX)]
Wait = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.tls]: the files are read for every connection, so that renewed ones take effect.

    ca: empty for the system's authorities.  certificate, key: both or neither.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    minimum_version: Literal["1.2", "1.3"] = "1.2"

    def __post_init__(self) -> None:
        """Raise ValueError if one half of a client certificate is missing."""
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key come together: name both files or neither")


class HomeAssistantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.homeassistant]: enabled: false removes an earlier announcement.  Without this section
    nothing is published below `prefix`.

    controls: accept unsigned controls of Home Assistant.  images: publish pictures of flagged
    observations, which otherwise stay on this machine.  console: address of the web console as a
    browser reaches it; empty for no link.
    """

    enabled: bool = True
    prefix: Text = "homeassistant"
    controls: bool = False
    images: bool = False
    console: Annotated[str, msgspec.Meta(max_length=1024)] = ""

    def __post_init__(self) -> None:
        """Raise ValueError for an address that Home Assistant would not accept: it would then
        refuse the whole announcement."""
        if self.console and not CONSOLE.fullmatch(self.console):
            raise ValueError(
                "console must be http://, https:// or homeassistant://, a host and a path,"
                f" found {self.console!r}"
            )


class SparkplugSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[mqtt.sparkplug]: a Sparkplug B edge node in addition to the topics.  primary_host: the node
    publishes only while this host application is online; empty for none."""

    group: Text
    edge_node: Text
    primary_host: str = ""


class MqttSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[mqtt]: one broker.

    port: 0 for 8883 with TLS, 1883 without.  client_id: empty for "auricle-DEVICE".  The password
    is in a file or an environment variable, never in the settings.  inflight_max: messages in
    flight, also limited by the broker.  receive_max: unacknowledged messages from the broker.
    """

    host: Text = "localhost"
    port: Port = 0
    client_id: str = ""
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    keepalive_s: Count = 60
    session_expiry_s: Interval = 86_400
    message_expiry_s: Interval = 0
    will_delay_s: Interval = 10
    connect_timeout_s: Wait = 10.0
    reconnect_s_min: Wait = 1.0
    reconnect_s_max: Wait = 60.0
    inflight_max: Count = 100
    receive_max: Count = 100
    packet_bytes_max: Annotated[int, msgspec.Meta(ge=1024, le=268_435_455)] = 8 << 20
    tls: TlsSettings | None = None
    homeassistant: HomeAssistantSettings | None = None
    sparkplug: SparkplugSettings | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for conflicting values."""
        if self.reconnect_s_max < self.reconnect_s_min:
            raise ValueError("reconnect_s_max must not be below reconnect_s_min")
        if self.password_file and self.password_env:
            raise ValueError("give password_file or password_env, not both")
        if (self.password_file or self.password_env) and not self.username:
            raise ValueError("a password needs a username")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, with the default port filled in."""
        return self.host, self.port or (8883 if self.tls else 1883)
