"""The topic tree: `auricle/v1/<device>/...`.  docs/reference/topics.md documents every topic.

A name (device, stream, verb) is one topic level.  `/ + # %` and control characters in it are
percent-encoded as UTF-8, so that names and levels map one to one.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import unquote

import msgspec

from ..core import ConfigError

ROOT: Final = "auricle/v1"
FLEET: Final = f"{ROOT}/fleet"

TOPIC_BYTES_MAX: Final = 65_535
"""A topic is a UTF-8 string with a two-byte length (MQTT 5.0, section 1.5.4)."""

NAMES_CACHED: Final = 2_048
"""More names than a device has streams; bounds the cache.  Chosen by hand."""

_RESERVED: Final = re.compile(r"[/+#%\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

FleetPurpose = Literal["contribution", "holds", "recall", "applied"]
Purpose = Literal["observe", "command", "contribution", "holds", "recall", "applied", "other"]
FLEET_PURPOSES: Final[tuple[FleetPurpose, ...]] = ("contribution", "holds", "recall", "applied")
"""Messages among the members of a fleet: sums, what a member holds of others, bundles to drop, and
what aggregators have summed of a member."""


class TopicAddress(msgspec.Struct, frozen=True):
    """The parsed topic of a received message.  name: the stream, the verb, or the device of a
    member.  fleet: of a member."""

    purpose: Purpose
    name: str = ""
    fleet: str = ""


@lru_cache(NAMES_CACHED)
def encode_level(name: str) -> str:
    """Return a name as one topic level; raises ConfigError for an empty or malformed name."""
    if not name or any(unicodedata.category(character) == "Cs" for character in name):
        raise ConfigError(
            f"making a topic: {name!r} is not a name", "use text of one character or more"
        )
    return _RESERVED.sub(_percent, name)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found.group().encode())


def decode_level(level: str) -> str | None:
    """Return the name in a topic level; None if `encode_level` could not have made the level."""
    try:
        name = unquote(level, errors="strict")
        return name if encode_level(name) == level else None
    except (UnicodeDecodeError, ConfigError):
        return None


def kind_of(message: type) -> str:
    """Return the kind of a message class in topics and schemas: `ClockJump` -> "clock-jump"."""
    return _SHORT.get(message.__name__) or _CAPITAL.sub("-", message.__name__).lower()


# Kinds that differ from the name of the class.
_SHORT: Final = {
    "DriftAlarm": "alarm",
    "DaemonStatus": "health",
    "Acknowledgement": "ack",
    "SeriesForecast": "forecast",
    "SeriesAnomaly": "anomaly",
    "GrowthReport": "growth",
    "OutboxGap": "gap",
    "DeviceStatus": "status",
    "BundleTrialReport": "bundle-trial",
}

# Kinds with a branch of their own; the others go below `event`.
_WITH_STREAM: Final = frozenset(
    {"decision", "alarm", "alarm-question", "label-request", "forecast", "change-point", "anomaly"}
)
_PLAIN: Final = frozenset(
    {"ack", "gap", "growth", "health", "receipt", "rejected", "response", "status", "bundle-trial"}
)


class Topics:
    """The topics of one device.  Raises ConfigError for an invalid device name."""

    def __init__(self, device: str) -> None:
        if device == "fleet":
            raise ConfigError(
                "making topics: a device cannot be named fleet", "choose another [device] name"
            )
        self.base = f"{ROOT}/{encode_level(device)}"
        self.status = f"{self.base}/status"
        self.health = f"{self.base}/health"
        self.gap = f"{self.base}/gap"
        self.response = f"{self.base}/response"

    def message_topic(self, kind: str, stream: str = "") -> str:
        """Return the topic of a kind of message.  stream: empty if it concerns none."""
        if kind in _PLAIN or (kind in _WITH_STREAM and not stream):
            return f"{self.base}/{kind}"
        branch = kind if kind in _WITH_STREAM else f"event/{kind}"
        return f"{self.base}/{branch}/{encode_level(stream)}" if stream else f"{self.base}/{branch}"

    def observe_filter(self) -> str:
        """Return the topic filter of observations."""
        return f"{self.base}/observe/+"

    def command_filter(self) -> str:
        """Return the topic filter of commands."""
        return f"{self.base}/command/+"

    def fleet_filter(self, fleet: str, purpose: FleetPurpose) -> str:
        """Return the topic filter of the members of a fleet, without the device."""
        return f"{FLEET}/{encode_level(fleet)}/{purpose}/"

    def fleet_topic(self, fleet: str, purpose: FleetPurpose) -> str:
        """Return the topic of this device's messages to a fleet."""
        return self.fleet_filter(fleet, purpose) + self.base.rpartition("/")[2]

    def parse(self, topic: str) -> TopicAddress:
        """Parse the topic of a received message; its purpose is "other" if it is none of the
        subscribed ones."""
        head, _, level = topic.rpartition("/")
        name = decode_level(level)
        if name is None:
            return TopicAddress("other")
        if head == f"{self.base}/observe":
            return TopicAddress("observe", name)
        if head == f"{self.base}/command":
            return TopicAddress("command", name)
        root, _, last = head.rpartition("/")
        purpose = next((one for one in FLEET_PURPOSES if one == last), None)
        if purpose is not None and root.startswith(f"{FLEET}/"):
            fleet = decode_level(root[len(FLEET) + 1 :])
            return TopicAddress(purpose, name, fleet) if fleet else TopicAddress("other")
        return TopicAddress("other")

    def allows_response(self, topic: str) -> bool:
        """Return whether a response may go to a topic: below `response` in any device's branch.
        Anywhere else a response could be taken for a message or a command."""
        levels = topic.split("/")
        return (
            topic.startswith(f"{ROOT}/")
            and len(levels) >= 4
            and levels[3] == "response"
            and all(levels)
            and len(topic.encode(errors="replace")) <= TOPIC_BYTES_MAX
            and not re.search(r"[+#\x00-\x1f\x7f-\x9f\ud800-\udfff]", topic)
        )
